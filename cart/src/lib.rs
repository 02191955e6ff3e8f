//! The cart service: carts over REST, durable in `PostgreSQL`, that become orders of loms.
//!
//! - [`domain`]: what a cart is.
//! - [`carts`]: the actors that keep carts, and the use cases over them.
//! - [`checkout`]: from a cart to an order, exactly once.
//! - [`idempotency`]: the same key gives the same answer.
//! - [`products`], [`loms`]: the services that carts lean on.
//! - [`api`]: the REST front-end.

pub mod api;
mod app;
pub mod carts;
pub mod checkout;
pub mod domain;
pub mod idempotency;
pub mod loms;
mod patience;
pub mod products;
mod settings;

pub use app::{Application, StartError, migrate};
pub use settings::Settings;
