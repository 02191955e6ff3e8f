//! Checks the history of orders: one row per change, from NEW to the current state.

use super::queries::{self, CHANGES, GAPS, LOST_CHANGES, ORDERS, OTHER_SEQUENCES, OTHER_STATES};
use service_kit::verify::{Check, Invariant};

static OWNED: Invariant = Invariant {
    name: "history-has-order",
    says: "every change belongs to an existing order",
    checked: "changes",
    ids: "orders",
};

static GAPLESS: Invariant = Invariant {
    name: "history-gapless",
    says: "the changes of an order are numbered 1, 2, … without a gap",
    checked: "changes",
    ids: "orders",
};

static LEGAL: Invariant = Invariant {
    name: "history-legal",
    says: "an order is NEW, then AWAITING_PAYMENT or FAILED, then, if it awaited payment, PAYED or CANCELLED",
    checked: "changes",
    ids: "orders",
};

static SEQUENCE: Invariant = Invariant {
    name: "order-sequence-is-last",
    says: "an order stores the number of its last change",
    checked: "orders",
    ids: "orders",
};

static STATE: Invariant = Invariant {
    name: "order-state-is-last",
    says: "an order is in the state that its last change led to",
    checked: "orders",
    ids: "orders",
};

/// The checks for each shard of orders.
pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(&OWNED, CHANGES, LOST_CHANGES),
        Check::new(&GAPLESS, CHANGES, GAPS),
        Check::new(&LEGAL, CHANGES, queries::illegal_steps()),
        Check::new(&SEQUENCE, ORDERS, OTHER_SEQUENCES),
        Check::new(&STATE, ORDERS, OTHER_STATES),
    ]
}
