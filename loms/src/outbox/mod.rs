//! The way of events from the database to Kafka.
//!
//! Whoever changes an order writes the event in the same statement; here one relay a shard reads what is written,
//! publishes it and deletes it. Nothing here decides anything about orders.

mod actor;
mod event;
mod finish;
mod lease;
mod metrics;
mod publication;
mod queries;
mod relay;
mod trace;

pub use actor::RelayHandle;
pub use relay::RelayParts;
