//! Checks the stock by itself: reserved counts and seeded totals.

use super::queries::{HELD, OUT_OF_BOUNDS, SKUS, UNSEEDED};
use service_kit::verify::{Check, Invariant};

static BOUNDS: Invariant = Invariant {
    name: "stock-within-bounds",
    says: "0 <= reserved <= total",
    checked: "SKUs",
    ids: "SKUs",
};

static RESERVED: Invariant = Invariant {
    name: "stock-reserved-is-held",
    says: "the reserved count of a SKU is the sum of its open reservations, including seeded ones",
    checked: "SKUs",
    ids: "SKUs",
};

static SEEDED: Invariant = Invariant {
    name: "stock-seed-recorded",
    says: "stock_seed records the initial stock of each SKU",
    checked: "SKUs",
    ids: "SKUs",
};

/// The checks for the shard of the stock.
pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(&BOUNDS, SKUS, OUT_OF_BOUNDS),
        Check::new(&RESERVED, SKUS, HELD),
        Check::new(&SEEDED, SKUS, UNSEEDED),
    ]
}
