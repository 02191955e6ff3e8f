//! The inbox: takes events from the topic, each once, and writes the deliveries of new ones.
//!
//! [`EventSink`] receives the records. [`InboxHandle`] asks the actor that stores them. Their offsets
//! are committed afterwards.

mod actor;
mod at_once;
mod metrics;
mod queries;
mod sink;
mod sweeper;

pub use actor::InboxHandle;
pub(crate) use queries::SENT_AT_ONCE;
pub use sink::EventSink;
pub use sweeper::InboxSweeper;
