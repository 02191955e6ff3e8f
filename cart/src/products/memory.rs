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
    fresh_until: Instant,
}

impl Known {
    /// Becomes stale after `lives`.
    pub fn new(product: Option<Arc<Product>>, lives: Duration) -> Self {
        Self { product, fresh_until: Instant::now() + lives }
    }

    /// Whether it is not stale yet.
    pub fn is_fresh(&self) -> bool {
        Instant::now() < self.fresh_until
    }
}

/// A cache in which each entry has its own time to live.
pub type Memory = Cache<Sku, Known>;

struct OwnLife {
    /// How long a product is kept after it became stale.
    stale: Duration,
}

impl OwnLife {
    fn of(&self, known: &Known, now: Instant) -> Duration {
        let fresh = known.fresh_until.saturating_duration_since(now);
        if known.product.is_some() { fresh + self.stale } else { fresh }
    }
}

impl Expiry<Sku, Known> for OwnLife {
    fn expire_after_create(&self, _: &Sku, known: &Known, now: Instant) -> Option<Duration> {
        Some(self.of(known, now))
    }

    fn expire_after_update(
        &self,
        _: &Sku,
        known: &Known,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(self.of(known, now))
    }
}

/// A cache of at most `capacity` SKUs. Products are kept for `stale` after they became stale.
pub fn memory(capacity: u64, stale: Duration) -> Memory {
    Cache::builder().max_capacity(capacity).expire_after(OwnLife { stale }).build()
}
