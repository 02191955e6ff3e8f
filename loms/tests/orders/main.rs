//! Orders, stock and events of the shipping application, on real databases and a real broker.

#![expect(clippy::unwrap_used, reason = "a test fails by its panic")]

mod crash;
mod crashes;
mod create;
mod crowd;
mod events;
mod gate;
mod idempotency;
mod invariants;
mod list;
mod orphans;
mod payment;
mod plans;
mod properties;
mod relay;
mod restock;
mod set_aside;
mod shop;
mod start;
mod sweeper;
mod timeouts;
mod verify;
