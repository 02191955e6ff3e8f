//! Processes order events: each one is notified once, or becomes a dead letter.
//!
//! [`NotificationSink`] receives the records. [`NotificationHandle`] sends the notifications and
//! records them in the inbox.

mod actor;
mod channel;
mod dead_letters;
mod effect;
mod metrics;
mod queries;
mod sink;
mod sweeper;

pub use actor::NotificationHandle;
pub use channel::{Channel, ChannelError, LogChannel, Notification};
pub use dead_letters::{DeadLetterPublisher, DeadLetters};
pub use metrics::NotificationMetrics;
pub use sink::NotificationSink;
pub use sweeper::InboxSweeper;
