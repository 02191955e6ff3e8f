//! Starts the actors of all shards, and stops them in order.

use kafka_actors::{ProducerHandle, ProducerOptions};
use service_kit::database;
use service_kit::database::{Pool, PoolSettings};
use service_kit::settings::ShardSettings;
use service_kit::shard::ShardIndex;
use shared_actors::actor::{Arbiters, TaskHandle};
use shared_actors::health::Health;
use tokio::sync::watch;

use super::prepare::{STOCK_SHARD, ShardComponents};
use crate::orders::{OrderShardHandle, OrderShardParts, ReplicaParts};
use crate::outbox::{RelayHandle, RelayParts};
use crate::settings::Settings;
use crate::stock::StockHandle;
use crate::sweeper::{self, SweeperParts};

/// The parts of one shard.
pub(super) struct Shard {
    pub index: ShardIndex,
    pub settings: ShardSettings,
    pub components: ShardComponents,
    pool: Pool,
    prepared: watch::Sender<bool>,
    pub orders: OrderShardHandle,
    replica: Option<Pool>,
    relay: RelayHandle,
    producer: ProducerHandle,
    sweeper: TaskHandle,
}

/// All shards, and the stock, which is on the first one.
pub(super) struct Shards {
    pub stock: StockHandle,
    stock_pool: Pool,
    pub all: Vec<Shard>,
}

impl Shards {
    /// Starts the actors of every shard. No statement reaches a database before [`Self::begin`].
    pub fn start(settings: &Settings, health: &Health) -> Self {
        let arbiters = Arbiters::new(settings.arbiters);
        let limits = PoolSettings::new("loms").with_max_connections(settings.max_connections);
        // A separate pool: lists of orders must not delay reservations.
        let stock_pool = Pool::new(&settings.shards[STOCK_SHARD.index()].primary, &limits).locked();
        database::show_pool("stock", STOCK_SHARD.index(), &stock_pool);
        let stock =
            StockHandle::start(stock_pool.clone(), settings.actor_capacity, arbiters.pick(0));
        let shards = settings.router.all().zip(&settings.shards);
        let all = shards
            .map(|(index, shard)| {
                start_shard(index, shard, settings, &limits, health, stock.clone(), &arbiters)
            })
            .collect();
        Self { stock, stock_pool, all }
    }

    /// Lets a shard work after its database has been identified.
    pub fn begin(&self, shard: &Shard) {
        for pool in self.pools(shard) {
            pool.unlock();
        }
        shard.components.identity.ready();
        shard.prepared.send_replace(true);
    }

    /// Watches the primary of `shard`. Runs until it is dropped.
    pub async fn watch(&self, shard: &Shard) {
        let (primary, component) =
            (shard.settings.primary.clone(), shard.components.database.clone());
        database::watch(primary, component, self.pools(shard)).await;
    }

    /// The connection pools of the primary of `shard`.
    fn pools(&self, shard: &Shard) -> Vec<Pool> {
        let stock = (shard.index == STOCK_SHARD).then_some(&self.stock_pool);
        stock.into_iter().chain([&shard.pool]).cloned().collect()
    }

    pub async fn stop_sweepers(&self) {
        for shard in &self.all {
            shard.sweeper.stop().await;
        }
    }

    pub async fn drain_orders(&self) {
        for shard in &self.all {
            shard.orders.drain().await;
        }
    }

    pub async fn stop_relays(&self) {
        futures::future::join_all(self.all.iter().map(|shard| shard.relay.stop())).await;
    }

    pub async fn drain_producers(&self) {
        for shard in &self.all {
            shard.producer.drain().await;
        }
    }

    pub async fn close_pools(&self) {
        self.stock_pool.close().await;
        for shard in &self.all {
            shard.pool.close().await;
            if let Some(replica) = &shard.replica {
                replica.close().await;
            }
        }
    }
}

fn start_shard(
    index: ShardIndex,
    shard: &ShardSettings,
    settings: &Settings,
    limits: &PoolSettings,
    health: &Health,
    stock: StockHandle,
    arbiters: &Arbiters,
) -> Shard {
    let group = format!("shard {index}");
    let components = ShardComponents {
        database: health.component_of(&group, format!("postgres shard {index}")),
        identity: health.component_of(&group, format!("orders shard {index}")),
    };
    let prepared = watch::Sender::new(false);
    let arbiter = arbiters.pick(index.index());
    let options = ProducerOptions::new(settings.brokers(), format!("loms-relay-{index}"))
        .transactional_id(format!("{}-relay-{index}", settings.kafka.topic))
        .retry_max(settings.kafka.retry_max)
        .topic(&settings.kafka.topic)
        .component(health.optional_component(format!("kafka shard {index}")));
    let producer = ProducerHandle::start(options, arbiter);
    let relay = RelayParts {
        shard: index,
        database: shard.primary.clone(),
        topic: settings.kafka.topic.clone(),
        producer: producer.clone(),
        interval: settings.outbox_interval,
        prepared: prepared.subscribe(),
    };
    let relay = RelayHandle::start(relay, arbiter);
    let pool = Pool::new(&shard.primary, limits).locked();
    let replica = shard.replica.as_ref().map(|replica| Pool::new(replica, limits));
    database::show_pool("orders", index.index(), &pool);
    if let Some(replica) = &replica {
        database::show_pool("replica", index.index(), replica);
    }
    let parts =
        OrderShardParts {
            index,
            database: shard.primary.clone(),
            primary: pool.clone(),
            replica: shard.replica.clone().zip(replica.clone()).map(|(database, pool)| {
                ReplicaParts { database, pool, max_lag: settings.replica_max_lag }
            }),
            stock: stock.clone(),
            relay: relay.clone(),
            payment_ttl: settings.payment_ttl,
        };
    let orders = OrderShardHandle::start(parts, settings.actor_capacity, arbiter);
    let sweeper = SweeperParts {
        orders: orders.clone(),
        stock,
        interval: settings.sweep_interval,
        reservation_grace: settings.reservation_grace,
        key_ttl: settings.key_ttl,
        prepared: prepared.subscribe(),
    };
    let sweeper = sweeper::start(sweeper, arbiter);
    let settings = shard.clone();
    Shard { index, settings, components, pool, prepared, orders, replica, relay, producer, sweeper }
}
