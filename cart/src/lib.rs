//! The cart service: keeps carts durably in `PostgreSQL`, serves them over REST and turns them into
//! orders in loms.
//!
//! - [`domain`]: carts and their rules.
//! - [`carts`]: the actors that keep carts, and the use cases.
//! - [`checkout`]: from a cart to an order, exactly once.
//! - [`idempotency`]: the same key gets the same answer.
//! - [`products`], [`loms`]: clients of the services that carts depend on.
//! - [`api`]: the REST front-end.
//! - [`verify`]: checks that the databases of cart and of loms fit together.

pub mod api;
mod app;
pub mod carts;
pub mod checkout;
pub mod domain;
mod failure;
pub mod idempotency;
pub mod loms;
mod patience;
pub mod products;
mod settings;
pub mod verify;

pub use app::{Application, StartError, migrate};
pub use settings::Settings;
