//! Deliveries: each is one event for one channel. It is pending until the channel has sent it, or it
//! becomes a dead letter.
//!
//! Deliveries are database rows, written in the same statement as the inbox. A [`Courier`] per
//! channel takes them from there. All notifiers work on the same rows. Only the first pending
//! delivery of an order can be claimed, so an order's events are sent in sequence.
//!
//! A channel that neither waits nor fails needs no rows: an [`ImmediateChannel`] sends an event while
//! it is received.

mod backlog;
mod courier;
mod delivery;
mod immediate;
mod metrics;
mod outcome;
mod queries;

pub use backlog::BacklogMonitor;
pub use courier::{Courier, CourierHandle};
pub use immediate::ImmediateChannel;
pub use outcome::RetryLimits;
