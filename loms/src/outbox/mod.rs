//! Publishes events from the database to Kafka.
//!
//! Each statement that changes an order also writes the event to the outbox. One relay per shard
//! reads the outbox, publishes the events and deletes them. This module decides nothing about
//! orders.

mod actor;
mod event;
mod finish;
mod lease;
mod metrics;
mod publication;
mod queries;
mod recent;
mod relay;
mod spans;

pub use actor::RelayHandle;
pub(crate) use event::OrderEvent;
pub(crate) use recent::CommittedRow;
pub use relay::RelayParts;
