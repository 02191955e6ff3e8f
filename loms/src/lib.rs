//! loms: orders, the stock that is reserved for them, and the events about their state changes.

pub mod api;
mod app;
pub mod domain;
mod failure;
mod items;
pub mod orders;
pub mod outbox;
mod retry;
mod settings;
pub mod stock;
pub mod sweeper;
pub mod verify;

pub use app::{Application, ShardError, StartError, migrate};
pub use settings::Settings;
