//! The notifier: reads order events from Kafka and notifies about each once.
//!
//! `events` knows what an event says, `notifications` what is done about it, `api` what the HTTP port shows.

mod api;
mod app;
mod events;
mod notifications;
mod settings;

pub use app::{Application, StartError, migrate};
pub use events::{Item, OrderEvent, OrderState, Poison};
pub use notifications::{Channel, ChannelError, LogChannel, Notification};
pub use settings::Settings;
