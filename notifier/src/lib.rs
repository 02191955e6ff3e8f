//! The notifier: reads order events from Kafka and sends one notification for each.
//!
//! The `inbox` takes each event once from the topic and writes one delivery per channel. `deliveries`
//! sends them over `channels`, each at its own pace. `dead_letters` keeps what cannot be processed.
//! `events` defines order events, and `api` serves the HTTP port.

mod api;
mod app;
mod channels;
mod dead_letters;
mod deliveries;
pub mod dlq;
mod events;
mod inbox;
mod settings;
pub mod verify;

pub use app::{Application, StartError, migrate};
pub use channels::{
    Channel, ChannelError, ChannelSettings, ChannelSetupError, EnabledChannel, Notification,
};
pub use events::{Item, OrderEvent, OrderState, Poison};
pub use settings::Settings;
