//! The whole service: how its parts are assembled, started and stopped.

mod identity;
mod prepare;
mod queries;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use service_kit::database;
use service_kit::database::{Places, Pool, PoolSettings, migrate_now};
use service_kit::http;
use service_kit::http::{HttpFrontEnd, HttpService};
use service_kit::identity::Verifier;
use service_kit::net::{TooFewDescriptors, provide_descriptors};
use service_kit::shard::ShardRouter;
use shared_actors::actor::{ActorOptions, Arbiters, KeyedHandle, KeyedOptions, TaskHandle};
use shared_actors::health::Health;
use shared_actors::shutdown::Shutdown;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info};

use self::identity::CartShards;
pub(crate) use self::identity::{IdentityError, check_identity};
use self::prepare::MIGRATIONS;
pub(crate) use self::queries::IdentityRow;
use crate::Settings;
use crate::api;
use crate::carts::{Admission, CartActor, CartActors, CartShardHandle, Carts};
use crate::checkout::CheckoutSweeper;
use crate::domain::UserId;
use crate::idempotency::KeySweeper;
use crate::loms::{Loms, StockHandle};
use crate::products::{ProductClient, Products, RedisCache};

/// How long stopping may take. The rest of the 20 s after SIGTERM is for exporting the last spans.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Why the service cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port is in use or was lost, or the signal handlers cannot be installed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There are too few file descriptors to serve clients.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// The settings contain no shard, or too many.
    #[error("there must be 1 to {} shards", ShardRouter::MAX_SHARDS)]
    Shards,
    /// The address of loms is invalid.
    #[error("LOMS_BASE_URL: {0}")]
    Loms(#[from] tonic::transport::Error),
    /// An HTTP client cannot be created.
    #[error("cannot create the client of the product service, or for the keys of tokens: {0}")]
    Client(#[from] reqwest::Error),
    /// The client of Redis cannot be created.
    #[error("cannot create the client of Redis: {0}")]
    Redis(#[from] deadpool_redis::redis::RedisError),
    /// A database cannot be used; the text is for people.
    #[error("{0}")]
    Database(String),
}

/// The running service. Its ports are bound. The databases are prepared in the background;
/// `/readyz` reports when they are ready.
pub struct Application {
    front_end: HttpFrontEnd,
    health: Health,
    carts: CartActors,
    shards: Arc<[CartShardHandle]>,
    products: Products,
    stock: StockHandle,
    checkout_sweepers: Vec<TaskHandle>,
    key_sweepers: Vec<TaskHandle>,
    pools: Vec<Pool>,
    /// Receives the reason when a database turns out to be unusable.
    unusable: watch::Receiver<Option<String>>,
    /// Dropping these ends the background tasks that prepare and watch the databases, Redis and
    /// loms.
    _watching: Vec<TaskHandle>,
}

impl Application {
    /// Starts everything. Must be called within an actix `System`.
    ///
    /// # Errors
    /// A problem that waiting cannot solve, such as a port in use or an invalid address.
    pub fn build(settings: &Settings) -> Result<Self, StartError> {
        let count = u16::try_from(settings.shards.len()).map_err(|_| StartError::Shards)?;
        let router = ShardRouter::new(count).ok_or(StartError::Shards)?;
        let mut http = settings.http.clone();
        provide_descriptors([&mut http.max_connections])?;
        let arbiters = Arbiters::new(settings.arbiters);
        let health = Health::new();
        let mut watching = Vec::new();

        let limits = PoolSettings::new("cart").with_max_connections(settings.database_connections);
        let (unusable_sender, unusable) = watch::channel(None);
        let places = Arc::new(places(settings));
        let mut pools = Vec::new();
        let mut shards = Vec::new();
        for (index, shard) in router.all().zip(&settings.shards) {
            let pool = Pool::new(&shard.primary, &limits).locked();
            database::show_pool("carts", index.index(), &pool);
            let (prepared_sender, prepared) = watch::channel(false);
            let group = format!("shard {index}");
            let preparation = prepare::Preparation {
                shard: index,
                places: Arc::clone(&places),
                database: shard.primary.clone(),
                migrations: settings.migrations,
                component: health.component_of(&group, format!("postgres shard {index}")),
                identity: health.component_of(&group, format!("identity of shard {index}")),
                pool: pool.clone(),
            };
            let unusable = unusable_sender.clone();
            watching.push(watch_by("shard_watch", &arbiters, move || {
                let (preparation, prepared) = (preparation.clone(), prepared_sender.clone());
                let unusable = unusable.clone();
                async move { preparation.run(&prepared, &unusable).await }
            }));
            let (capacity, key_ttl) = (settings.capacity, settings.idempotency_ttl);
            let arbiter = arbiters.pick(index.index());
            shards.push(CartShardHandle::start(pool.clone(), capacity, key_ttl, arbiter, prepared));
            pools.push(pool);
        }
        let shards: Arc<[CartShardHandle]> = shards.into();

        let redis = Arc::new(RedisCache::new(&settings.redis)?);
        let (cache, component) = (Arc::clone(&redis), health.optional_component("redis"));
        watching.push(watch_by("redis_watch", &arbiters, move || {
            let (cache, component) = (Arc::clone(&cache), component.clone());
            async move { cache.watch(component).await }
        }));
        let loms = Loms::new(&settings.loms)?;
        let (orders, component) = (loms.clone(), health.optional_component("loms"));
        watching.push(watch_by("loms_watch", &arbiters, move || {
            let (orders, component) = (orders.clone(), component.clone());
            async move { orders.watch(component).await }
        }));
        let client = ProductClient::new(settings.products.clone())?;
        let (capacity, stale) = (settings.cache_capacity, settings.product_stale_ttl);
        let products = Products::start(redis, client, capacity, stale, arbiters.pick(0));

        let carts = cart_actors(settings, arbiters.clone(), router, &shards, &loms);
        let stock = StockHandle::start(loms, settings.capacity, arbiters.pick(0));
        let admission = Admission::new(settings.capacity, settings.capacity_per_cart);
        let use_cases = Carts::new(
            carts.clone(),
            Arc::clone(&shards),
            router,
            products.clone(),
            stock.clone(),
            admission,
        );
        let service = HttpService {
            health: health.clone(),
            openapi: api::openapi(),
            errors: api::error_body,
            identity: settings.identity.as_ref().map(Verifier::new).transpose()?,
        };
        let front_end = http::serve(&http, service, move |config| api::routes(config, &use_cases))?;
        info!(address = %front_end.address, shards = count, "cart started");

        let (checkout_sweepers, key_sweepers) = sweepers(settings, &arbiters, &shards, &carts);
        Ok(Self {
            front_end,
            health,
            carts,
            shards,
            products,
            stock,
            checkout_sweepers,
            key_sweepers,
            pools,
            unusable,
            _watching: watching,
        })
    }

    /// The address of the REST front-end.
    pub fn address(&self) -> SocketAddr {
        self.front_end.address
    }

    /// The state that `/readyz` reports.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Serves until SIGTERM or SIGINT, then stops.
    ///
    /// # Errors
    /// Signals cannot be handled, the front-end has ended, or a database belongs to another shard
    /// or cannot be migrated.
    pub async fn run_until_stopped(self) -> Result<(), StartError> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut unusable = self.unusable.clone();
        let problem = tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            ended = self.front_end.ended() => Some(StartError::Io(ended)),
            reason = unusable.wait_for(Option::is_some) => {
                reason.ok().and_then(|reason| reason.clone()).map(StartError::Database)
            }
        };
        self.stop().await;
        problem.map_or(Ok(()), Err)
    }

    /// Rejects new work, finishes accepted work and closes everything, in this order.
    pub async fn stop(self) {
        let Self {
            front_end,
            health,
            carts,
            shards,
            products,
            stock,
            checkout_sweepers,
            key_sweepers,
            pools,
            ..
        } = self;
        health.stopping();
        let in_time = Shutdown::new(STOP_WITHIN)
            .step("front-end", front_end.stop())
            .step("sweepers", async move {
                for sweeper in &checkout_sweepers {
                    sweeper.stop().await;
                }
                for sweeper in &key_sweepers {
                    sweeper.stop().await;
                }
            })
            .step("carts", async move { carts.drain().await })
            .step("products", async move { products.drain().await })
            .step("stock", async move { stock.drain().await })
            .step("shards", async move {
                for shard in shards.iter() {
                    shard.drain().await;
                }
            })
            .step("pools", async move {
                for pool in pools {
                    pool.close().await;
                }
            })
            .run()
            .await;
        if !in_time {
            error!(
                "not everything finished in time; open checkouts will be settled after the next start"
            );
        }
    }
}

/// Creates and migrates all databases, then returns.
///
/// # Errors
/// The first database that cannot be migrated.
pub async fn migrate(settings: &Settings) -> Result<(), StartError> {
    for shard in &settings.shards {
        migrate_now(&shard.primary, &[&MIGRATIONS]).await.map_err(StartError::Database)?;
        info!(address = %shard.primary.address, name = shard.primary.name, "migrated");
    }
    Ok(())
}

/// The check of which shard each database is.
fn places(settings: &Settings) -> Places<CartShards> {
    let databases: Vec<_> = settings.shards.iter().map(|shard| shard.primary.clone()).collect();
    Places::new(CartShards(databases.clone()), databases, "cart start")
}

fn cart_actors(
    settings: &Settings,
    arbiters: Arbiters,
    router: ShardRouter,
    shards: &Arc<[CartShardHandle]>,
    loms: &Loms,
) -> CartActors {
    let options = KeyedOptions {
        capacity: settings.capacity,
        capacity_per_key: settings.capacity_per_cart,
        max_live: settings.max_live,
        idle: settings.idle,
        deadline: settings.http.request_timeout,
        ..KeyedOptions::new("cart")
    };
    let (shards, loms) = (Arc::clone(shards), loms.clone());
    KeyedHandle::new(options, arbiters, move |user: &UserId| {
        let shard = &shards[router.shard_of_user(user.get()).index()];
        CartActor::new(*user, shard.clone(), loms.clone())
    })
}

fn sweepers(
    settings: &Settings,
    arbiters: &Arbiters,
    shards: &Arc<[CartShardHandle]>,
    carts: &CartActors,
) -> (Vec<TaskHandle>, Vec<TaskHandle>) {
    let sweep = settings.sweep;
    let of_shard = |(index, shard): (usize, &CartShardHandle)| {
        let arbiter = arbiters.pick(index);
        let (own, carts, options) =
            (shard.clone(), carts.clone(), ActorOptions::new("checkout_sweeper"));
        let checkouts = TaskHandle::periodic(options, arbiter, sweep.period, move || {
            CheckoutSweeper::new(index, own.clone(), carts.clone(), sweep.grace)
        });
        let (own, options) = (shard.clone(), ActorOptions::new("key_sweeper"));
        let keys = TaskHandle::periodic(options, arbiter, KeySweeper::PERIOD, move || {
            KeySweeper::new(own.clone())
        });
        (checkouts, keys)
    };
    shards.iter().enumerate().map(of_shard).unzip()
}

/// Keeps a component's state up to date in the background, until the handle is dropped.
fn watch_by<F: Future<Output = ()> + 'static>(
    name: &'static str,
    arbiters: &Arbiters,
    watch: impl Fn() -> F + Send + Sync + 'static,
) -> TaskHandle {
    TaskHandle::start(ActorOptions::new(name), arbiters.pick(0), watch)
}
