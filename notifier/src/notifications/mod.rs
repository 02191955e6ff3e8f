//! What is done about order events: each is notified once, or ends as a dead letter.
//!
//! Records come in through [`NotificationSink`]; [`NotificationHandle`] does the effect together with the inbox.

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
