//! The ways in which a shop can be damaged, one at a time: statements on the databases of a [quiet
//! shop](super::quiet_shop).

mod orders;
mod stock;

/// One kind of damage.
pub struct Corruption {
    pub what: &'static str,
    /// The only invariant that it violates.
    pub invariant: &'static str,
    /// The ids at fault.
    pub ids: &'static [i64],
    /// The statements that cause it, each with its database.
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

/// All corruptions. On shard 1 the orders are 1001 (paid), 2001 (cancelled), 3001 and 4001
/// (awaiting payment) and 5001 (failed).
pub fn corruptions() -> impl Iterator<Item = &'static Corruption> {
    stock::CORRUPTIONS.iter().chain(orders::CORRUPTIONS)
}
