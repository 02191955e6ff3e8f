//! The name and price of a SKU, from the product service.
//!
//! Three places are asked in turn: this process, Redis, and the product service. A product expires
//! in this process when it expires in Redis. Losing Redis makes requests slower but breaks nothing.
//! Concurrent requests for one SKU share one call, and all calls of this instance, including
//! retries, share one rate limit.
//!
//! While the product service gives no answer, stale products are used for some time. If it keeps
//! failing, or asks for a pause, cart stops calling it for a while.

mod actor;
mod breaker;
mod client;
mod memory;
mod pace;
mod product;
mod redis_cache;

pub use actor::{ProductActor, Products};
pub use client::{ProductClient, ProductServiceSettings};
pub use product::Product;
pub use redis_cache::{RedisCache, RedisSettings, RedisTls};
