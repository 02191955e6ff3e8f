//! What may be wrong with a shop, one thing at a time: statements on the databases of a [quiet shop](super::quiet_shop).

mod orders;
mod stock;

/// One thing that is wrong.
pub struct Corruption {
    pub what: &'static str,
    /// Which invariant it violates, and no other.
    pub invariant: &'static str,
    /// By what.
    pub ids: &'static [i64],
    /// The databases and what is done to them.
    pub statements: &'static [(usize, &'static str)],
}

const fn wrong(
    what: &'static str,
    invariant: &'static str,
    ids: &'static [i64],
    statements: &'static [(usize, &'static str)],
) -> Corruption {
    Corruption { what, invariant, ids, statements }
}

/// All of them. The orders of shard 1 are, by rising id: paid 1001, cancelled 2001, awaiting payment 3001 and 4001, failed 5001.
pub fn corruptions() -> impl Iterator<Item = &'static Corruption> {
    stock::CORRUPTIONS.iter().chain(orders::CORRUPTIONS)
}
