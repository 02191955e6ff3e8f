//! The actor that finds products, and the way to ask it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use actix::{Actor, ArbiterHandle, Context, Handler};
use prometheus::IntCounter;
use shared_actors::actor::{ActorOptions, Command, Envelope, Handle};
use shared_actors::metrics;

use super::client::ProductClient;
use super::memory::{Known, Memory, memory};
use super::product::Product;
use super::redis_cache::RedisCache;
use crate::domain::{CartError, Sku};

/// How long this process remembers that a SKU is unknown: long enough to shield the product service from a client that
/// asks on and on, short enough for a product that is new.
const UNKNOWN_LIVES: Duration = Duration::from_secs(10);

struct CacheMetrics {
    hits: IntCounter,
    misses: IntCounter,
}

static CACHE: LazyLock<CacheMetrics> = LazyLock::new(|| CacheMetrics {
    hits: metrics::counter("cache_hits_total", "Products found in this process or in Redis."),
    misses: metrics::counter("cache_misses_total", "Products that the product service had to be asked for."),
});

/// Finds products beyond this process' memory.
pub struct ProductActor {
    sources: Arc<Sources>,
}

/// Asks for products. Cheap to clone.
#[derive(Clone)]
pub struct Products {
    memory: Memory,
    handle: Handle<ProductActor>,
}

struct Sources {
    memory: Memory,
    redis: Arc<RedisCache>,
    client: ProductClient,
}

struct FindProduct(Sku);

impl Command for FindProduct {
    type Output = Option<Arc<Product>>;
    type Error = CartError;
    const NAME: &'static str = "find_product";
}

impl Products {
    /// Starts the actor. At most `capacity` SKUs stay in memory.
    pub fn start(
        redis: Arc<RedisCache>,
        client: ProductClient,
        capacity: u64,
        arbiter: &ArbiterHandle,
    ) -> Self {
        LazyLock::force(&CACHE);
        let memory = memory(capacity);
        let sources = Arc::new(Sources { memory: memory.clone(), redis, client });
        let options = ActorOptions::new("product");
        let factory = move |_: &mut Context<ProductActor>| ProductActor { sources: Arc::clone(&sources) };
        Self { memory, handle: Handle::supervise(options, arbiter, factory) }
    }

    /// The product; `None` when the product service does not know the SKU. What is in memory takes no way through the
    /// actor.
    ///
    /// # Errors
    /// `Overloaded`, `Unavailable`, `DeadlineExceeded`, `BadGateway`.
    pub async fn find(&self, sku: Sku) -> Result<Option<Arc<Product>>, CartError> {
        if let Some(known) = self.memory.get(&sku).await {
            CACHE.hits.inc();
            return Ok(known.product);
        }
        self.handle.ask(FindProduct(sku)).await
    }

    /// Answers all that was accepted, then stops.
    pub async fn drain(&self) {
        self.handle.drain().await;
    }
}

impl Actor for ProductActor {
    type Context = Context<Self>;
}

impl Handler<Envelope<FindProduct>> for ProductActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<FindProduct>, _: &mut Self::Context) {
        let sources = Arc::clone(&self.sources);
        envelope.run(async move |FindProduct(sku)| sources.find(sku).await);
    }
}

impl Sources {
    /// Of those who ask for one SKU at the same time, one looks and all get what it finds.
    async fn find(&self, sku: Sku) -> Result<Option<Arc<Product>>, CartError> {
        let known = self.memory.try_get_with(sku, self.look(sku)).await;
        known.map(|known| known.product).map_err(|error: Arc<CartError>| CartError::clone(&error))
    }

    async fn look(&self, sku: Sku) -> Result<Known, CartError> {
        if let Some((product, lives)) = self.redis.get(sku).await {
            CACHE.hits.inc();
            return Ok(Known { product: Some(Arc::new(product)), lives });
        }
        CACHE.misses.inc();
        let Some(product) = self.client.get(sku).await?.map(Arc::new) else {
            return Ok(Known { product: None, lives: UNKNOWN_LIVES });
        };
        let (redis, kept) = (Arc::clone(&self.redis), Arc::clone(&product));
        actix::spawn(async move { redis.put(sku, &kept).await });
        Ok(Known { product: Some(product), lives: self.redis.ttl() })
    }
}
