//! Carts: durable, one writer per user.
//!
//! A cart is a row with a version in `PostgreSQL`. A user's [`CartActor`] serialises the user's
//! changes and caches the row between them. The [`CartShardActor`] of the user's shard reads and
//! writes the rows of many users in one statement.
//!
//! Every write names the version that it was decided on, so two instances that both run an actor
//! for the same user lose nothing. The later write changes nothing, and its actor reads the row and
//! decides again. The pure functions of `decide` choose what a command writes.
//!
//! Reads bypass the user's actor. The shard's actor combines them into one query, so they show
//! every change that was acknowledged before, on any instance.

mod actor;
mod admission;
mod commands;
mod decide;
mod metrics;
mod queries;
mod shard;
mod state;
mod transaction;
mod use_cases;

pub use actor::CartActor;
pub use admission::{Admission, Admitted};
pub use commands::{AddItem, Checkout, ClearCart, RemoveItem};
pub use shard::{CartShard, CartShardActor, CartShardHandle};
pub use state::{Loaded, OpenCheckouts, StoredCart};
pub use use_cases::{CartView, Carts, PricedLine};

/// The actors of all users.
pub type CartActors = shared_actors::actor::KeyedHandle<crate::domain::UserId, CartActor>;
