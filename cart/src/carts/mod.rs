//! Carts: durable, one writer per user.
//!
//! The truth is a row in `PostgreSQL` with a version. A user's [`CartActor`] serialises the user's changes and remembers
//! the row between them; the [`CartShardActor`] of the user's shard reads and writes the rows of many users in one
//! statement. Every write names the version that it was decided on, so that two instances which both hold a user's
//! actor lose nothing: the later write changes nothing, and its actor decides again on what it then reads. What a
//! command writes is decided by the pure functions of `decide`.
//!
//! Reads do not pass through the user's actor: they are merged by the shard's actor into one query and so show every
//! change that was acknowledged before, whichever instance made it.

mod actor;
mod commands;
mod decide;
mod queries;
mod shard;
mod state;
mod transaction;
mod use_cases;

pub use actor::CartActor;
pub use commands::{AddItem, Checkout, ClearCart, RemoveItem};
pub use shard::{CartShard, CartShardActor, CartShardHandle};
pub use state::{Loaded, OpenCheckouts, StoredCart};
pub use use_cases::{CartView, Carts, PricedLine};

/// The actors of all users.
pub type CartActors = shared_actors::actor::KeyedHandle<crate::domain::UserId, CartActor>;
