//! Channels: the ways to reach people.
//!
//! [`Channel`] is what a channel implements. [`ChannelHandle`] asks the actor that runs it.

mod actor;
mod channel;
mod email;
mod log;
mod public_address;
mod settings;
mod text;
mod webhook;

pub use actor::ChannelHandle;
pub use channel::{Channel, ChannelError, EnabledChannel, Notification};
pub use log::LogChannel;
pub use settings::{ChannelSettings, ChannelSetupError};
