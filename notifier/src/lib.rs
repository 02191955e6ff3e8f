//! The notifier: reads order events from Kafka and sends one notification for each.
//!
//! `events` defines order events, `notifications` processes them, and `api` serves the HTTP port.

mod api;
mod app;
mod events;
mod notifications;
mod settings;

pub use app::{Application, StartError, migrate};
pub use events::{Item, OrderEvent, OrderState, Poison};
pub use notifications::{Channel, ChannelError, LogChannel, Notification};
pub use settings::Settings;
