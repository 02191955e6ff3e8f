//! The in-process cache.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;

use super::Product;
use crate::domain::Sku;

/// What is known about a SKU, and for how long. `None` means that the product service does not know
/// it.
#[derive(Clone, Debug)]
pub struct Known {
    pub product: Option<Arc<Product>>,
    pub lives: Duration,
}

/// A cache in which each entry has its own time to live.
pub type Memory = Cache<Sku, Known>;

struct OwnLife;

impl Expiry<Sku, Known> for OwnLife {
    fn expire_after_create(&self, _: &Sku, known: &Known, _: Instant) -> Option<Duration> {
        Some(known.lives)
    }
}

/// A cache of at most `capacity` SKUs.
pub fn memory(capacity: u64) -> Memory {
    Cache::builder().max_capacity(capacity).expire_after(OwnLife).build()
}
