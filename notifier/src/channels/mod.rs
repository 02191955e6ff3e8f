//! Channels: the ways to reach people.
//!
//! [`Channel`] is what a channel implements. [`ChannelHandle`] asks the actor that runs it.

mod actor;
mod channel;
mod log;

pub use actor::ChannelHandle;
pub use channel::{Channel, ChannelError, EnabledChannel, Notification};
pub use log::LogChannel;
