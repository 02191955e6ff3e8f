//! Checks the rows of the notifier's database by themselves.

use std::time::Duration;

use service_kit::verify::{Check, Invariant};

use super::queries::{self, DEAD, DELIVERIES, LETTERS, PENDING};

static OWNED: Invariant = Invariant {
    name: "delivery-has-event",
    says: "every delivery belongs to an event that was received",
    checked: "deliveries",
    ids: "orders",
};

static ONCE: Invariant = Invariant {
    name: "delivery-once",
    says: "a channel has at most one delivery per sequence number of an order",
    checked: "deliveries",
    ids: "orders",
};

static ORDERED: Invariant = Invariant {
    name: "delivery-in-order",
    says: "a channel sends the events of an order in order, unless one was replayed",
    checked: "deliveries",
    ids: "orders",
};

static WAITING: Invariant = Invariant {
    name: "pending-has-record",
    says: "a pending delivery has its record, and an ended one does not",
    checked: "deliveries",
    ids: "orders",
};

static DUE: Invariant = Invariant {
    name: "pending-is-due-soon",
    says: "the next attempt of a delivery is due within two hours",
    checked: "pending",
    ids: "orders",
};

static LETTER: Invariant = Invariant {
    name: "dead-delivery-has-letter",
    says: "every dead delivery has a dead letter",
    checked: "dead deliveries",
    ids: "orders",
};

static DEAD_LETTER: Invariant = Invariant {
    name: "letter-has-dead-delivery",
    says: "a channel's dead letter has a dead delivery until it is replayed",
    checked: "dead letters",
    ids: "letters",
};

/// The checks that run in SQL. Rows older than `checked` may lack others that are forgotten.
pub(super) fn checks(checked: Duration) -> Vec<Check> {
    let young = |condition: &str| queries::younger_than(checked, condition);
    vec![
        Check::new(&OWNED, DELIVERIES, young(queries::DELIVERIES_WITHOUT_EVENT)),
        Check::new(&ONCE, DELIVERIES, queries::DELIVERIES_TWICE),
        Check::new(&ORDERED, DELIVERIES, queries::DELIVERIES_OUT_OF_ORDER),
        Check::new(&WAITING, DELIVERIES, queries::DELIVERIES_WITH_WRONG_RECORD),
        Check::new(&DUE, PENDING, queries::PENDING_NOT_DUE).open(),
        Check::new(&LETTER, DEAD, young(queries::DEAD_WITHOUT_LETTER)),
        Check::new(&DEAD_LETTER, LETTERS, young(queries::LETTERS_WITHOUT_DEAD_DELIVERY)),
    ]
}
