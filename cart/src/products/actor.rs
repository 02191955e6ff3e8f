//! The actor that looks up products, and its handle.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, ArbiterHandle, AsyncContext, Context, Handler};
use futures::FutureExt;
use futures::future::{LocalBoxFuture, Shared};
use prometheus::IntCounter;
use shared_actors::actor::{ActorOptions, Command, Envelope, Handle};
use shared_actors::{deadline, metrics};
use tokio::time::{Instant, timeout_at};

use super::client::ProductClient;
use super::memory::{Known, Memory, memory};
use super::product::Product;
use super::redis_cache::RedisCache;
use crate::domain::{CartError, Part, Sku, UserId};
use crate::patience;

/// How long this process remembers that a SKU is unknown. Long enough to protect the product
/// service from a client that keeps asking, short enough for a new product.
const UNKNOWN_LIVES: Duration = Duration::from_secs(10);

/// How long a look-up may take, regardless of the deadlines of its callers.
const PATIENCE: Duration = Duration::from_secs(10);

struct CacheMetrics {
    hits: IntCounter,
    misses: IntCounter,
    stale: IntCounter,
}

static CACHE: LazyLock<CacheMetrics> = LazyLock::new(|| CacheMetrics {
    hits: metrics::counter("cache_hits_total", "Products found in this process or in Redis."),
    misses: metrics::counter(
        "cache_misses_total",
        "Products that had to be requested from the product service.",
    ),
    stale: metrics::counter(
        "cache_stale_total",
        "Stale products that were used because no fresh one was available in time.",
    ),
});

/// Looks up products that are not in this process' memory. Concurrent requests for one SKU share
/// one look-up. It has its own time limit, and continues when its callers give up.
pub struct ProductActor {
    sources: Arc<Sources>,
    /// Its size is bounded by the calls that may wait for their turn and the commands that may
    /// query Redis.
    looking: HashMap<Sku, LookUp>,
}

type LookUp = Shared<LocalBoxFuture<'static, Result<Option<Arc<Product>>, CartError>>>;

/// The handle to look up products. Cheap to clone.
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

struct FindProduct {
    sku: Sku,
    /// Who needs it.
    user: UserId,
}

impl Command for FindProduct {
    type Output = Option<Arc<Product>>;
    type Error = CartError;
    const NAME: &'static str = "find_product";
}

impl Products {
    /// Starts the actor. At most `capacity` SKUs are kept in memory, products for `stale` after they
    /// became stale.
    pub fn start(
        redis: Arc<RedisCache>,
        client: ProductClient,
        capacity: u64,
        stale: Duration,
        arbiter: &ArbiterHandle,
    ) -> Self {
        LazyLock::force(&CACHE);
        let memory = memory(capacity, stale);
        let sources = Arc::new(Sources { memory: memory.clone(), redis, client });
        let options = ActorOptions::new("product");
        let factory = move |_: &mut Context<ProductActor>| ProductActor {
            sources: Arc::clone(&sources),
            looking: HashMap::new(),
        };
        Self { memory, handle: Handle::supervise(options, arbiter, factory) }
    }

    /// Returns the product that `user` needs, or `None` if the product service does not know the SKU.
    /// A fresh product in memory is returned without asking the actor. A stale one is returned if no
    /// fresh one comes by `fresh_by`.
    ///
    /// # Errors
    /// `Overloaded`, `Unavailable`, `DeadlineExceeded`, `BadGateway`.
    pub async fn find(
        &self,
        user: UserId,
        sku: Sku,
        fresh_by: Instant,
    ) -> Result<Option<Arc<Product>>, CartError> {
        let known = self.memory.get(&sku).await;
        if let Some(known) = known.as_ref().filter(|known| known.is_fresh()) {
            CACHE.hits.inc();
            return Ok(known.product.clone());
        }
        let found = self.handle.ask(FindProduct { sku, user });
        let Some(stale) = known.and_then(|known| known.product) else { return found.await };
        if let Ok(Ok(found)) = timeout_at(fresh_by, found).await {
            return Ok(found);
        }
        CACHE.stale.inc();
        Ok(Some(stale))
    }

    /// Whether this process' memory has the SKU, as a product or as unknown.
    pub fn remembers(&self, sku: Sku) -> bool {
        self.memory.contains_key(&sku)
    }

    /// Answers all accepted commands, then stops.
    pub async fn drain(&self) {
        self.handle.drain().await;
    }
}

impl Actor for ProductActor {
    type Context = Context<Self>;
}

impl Handler<Envelope<FindProduct>> for ProductActor {
    type Result = ();

    fn handle(&mut self, envelope: Envelope<FindProduct>, ctx: &mut Self::Context) {
        let Some((FindProduct { sku, user }, responder)) = envelope.begin() else { return };
        let found = self.looking.get(&sku).cloned().unwrap_or_else(|| {
            let look = Arc::clone(&self.sources).find(user, sku);
            let look = responder.scope(deadline::scope(Instant::now() + PATIENCE, look));
            let found = look.boxed_local().shared();
            self.looking.insert(sku, found.clone());
            ctx.spawn(wrap_future(found.clone()).map(move |_, actor: &mut Self, _| {
                actor.looking.remove(&sku);
            }));
            found
        });
        actix::spawn(async move {
            let found = patience::wait(responder.deadline(), Part::Products, found).await;
            responder.answer(found);
        });
    }
}

impl Sources {
    async fn find(
        self: Arc<Self>,
        user: UserId,
        sku: Sku,
    ) -> Result<Option<Arc<Product>>, CartError> {
        // Another look-up may have ended while this command was in the mailbox.
        if let Some(known) = self.memory.get(&sku).await.filter(Known::is_fresh) {
            return Ok(known.product);
        }
        let known = self.look(user, sku).await?;
        self.memory.insert(sku, known.clone()).await;
        Ok(known.product)
    }

    async fn look(&self, user: UserId, sku: Sku) -> Result<Known, CartError> {
        if let Some((product, lives)) = self.redis.get(sku).await {
            CACHE.hits.inc();
            return Ok(Known::new(Some(Arc::new(product)), lives));
        }
        CACHE.misses.inc();
        let Some(product) = self.client.get(user, sku).await?.map(Arc::new) else {
            return Ok(Known::new(None, UNKNOWN_LIVES));
        };
        let (redis, kept) = (Arc::clone(&self.redis), Arc::clone(&product));
        actix::spawn(async move { redis.put(sku, &kept).await });
        Ok(Known::new(Some(product), self.redis.ttl()))
    }
}
