//! Checks the results of order changes: events that wait for the relay, and pending effects on the
//! stock.
//!
//! The relay deletes what it published, so an event that is not in the outbox counts as published.
//! It is known to be lost only if an earlier event of the same order still waits.

use super::queries::{
    self, CHANGES, DUPLICATE_EVENT_IDS, EFFECTS, EVENTS, MISPLACED_EFFECTS, REFUSED_EFFECTS,
};
use service_kit::verify::{Check, Invariant};

static IDS: Invariant = Invariant {
    name: "event-ids-unique",
    says: "event ids are unique within a shard",
    checked: "changes",
    ids: "orders",
};

static KNOWN: Invariant = Invariant {
    name: "outbox-has-history",
    says: "every waiting event belongs to a change in the history, and none was set aside",
    checked: "events",
    ids: "orders",
};

static ONCE: Invariant = Invariant {
    name: "outbox-once",
    says: "no event waits twice",
    checked: "events",
    ids: "orders",
};

static ORDERED: Invariant = Invariant {
    name: "outbox-in-order",
    says: "the waiting events of an order are in the sequence of its changes",
    checked: "events",
    ids: "orders",
};

static COMPLETE: Invariant = Invariant {
    name: "outbox-complete",
    says: "if an event of an order waits, the events of all its later changes wait too",
    checked: "events",
    ids: "orders",
};

static FITTING: Invariant = Invariant {
    name: "effect-fits-order",
    says: "a pending effect is TAKE for a PAYED order, or RETURN for a CANCELLED or FAILED one",
    checked: "effects",
    ids: "orders",
};

static ADMITTED: Invariant = Invariant {
    name: "effect-not-refused",
    says: "the stock accepts every effect: none was set aside",
    checked: "effects",
    ids: "orders",
};

/// The checks for each shard of orders.
pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(&IDS, CHANGES, DUPLICATE_EVENT_IDS),
        Check::new(&KNOWN, EVENTS, queries::strange_events()),
        Check::new(&ONCE, EVENTS, queries::repeated_events()),
        Check::new(&ORDERED, EVENTS, queries::misordered_events()),
        Check::new(&COMPLETE, EVENTS, queries::lost_events()),
        Check::new(&ADMITTED, EFFECTS, REFUSED_EFFECTS),
        // Each pending effect is a step between two states, so it counts as open.
        Check::new(&FITTING, EFFECTS, MISPLACED_EFFECTS).open(),
    ]
}
