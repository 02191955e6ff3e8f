//! What the product service says of a SKU: name and price.
//!
//! Three places are asked in turn: this process, Redis, the product service. An answer lives as long as Redis keeps it,
//! in this process too. Losing Redis slows and breaks nothing. Concurrent questions for one SKU make one call, and all
//! calls of this instance keep to a pace, retries included.

mod actor;
mod client;
mod memory;
mod pace;
mod product;
mod redis_cache;

pub use actor::{ProductActor, Products};
pub use client::{ProductClient, ProductServiceSettings};
pub use product::Product;
pub use redis_cache::{RedisCache, RedisSettings};
