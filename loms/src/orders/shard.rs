//! What all commands of one shard of orders share. Each command has a file of its own.

use std::time::Duration;

use shared_actors::actor::{BatchActor, BatchLimits};
use shared_actors::database::Pool;
use shared_actors::settings::DatabaseSettings;
use shared_actors::shard::{ORDER_ID_STEP, ShardIndex};

use super::ids::IdBlock;
use super::metrics::OrderMetrics;
use super::pulse::Pulse;
use super::replica::{Replica, ReplicaParts};
use super::settle::Silence;
use crate::domain::OrderId;
use crate::outbox::RelayHandle;
use crate::stock::StockHandle;

/// Batches of commands: while one waits for the stock or the disk, another one is on its way.
pub(super) const LIMITS: BatchLimits = BatchLimits { commands: 256, weight: usize::MAX, concurrency: 2 };

/// Executes the commands of one shard of orders.
pub(super) type OrderShardActor = BatchActor<OrderShard>;

/// One shard of orders: its databases and whom it needs.
pub(crate) struct OrderShard {
    pub(crate) index: ShardIndex,
    pub(super) database: DatabaseSettings,
    pub(crate) primary: Pool,
    pub(super) pulse: Pulse,
    pub(super) replica: Option<Replica>,
    pub(super) stock: StockHandle,
    pub(super) silence: Silence,
    pub(super) relay: RelayHandle,
    pub(super) ids: IdBlock,
    pub(super) payment_ttl: Duration,
    pub(super) metrics: OrderMetrics,
}

/// What a shard of orders is made of.
pub struct OrderShardParts {
    /// Its number.
    pub index: ShardIndex,
    /// Where decisions are made.
    pub database: DatabaseSettings,
    /// Connections to it.
    pub primary: Pool,
    /// Where lists may be read.
    pub replica: Option<ReplicaParts>,
    /// Who reserves.
    pub stock: StockHandle,
    /// Who publishes this shard's events.
    pub relay: RelayHandle,
    /// How long an order may await its payment.
    pub payment_ttl: Duration,
}

impl OrderShard {
    pub(super) fn new(parts: OrderShardParts) -> Self {
        Self {
            index: parts.index,
            database: parts.database,
            primary: parts.primary,
            pulse: Pulse::default(),
            replica: parts.replica.map(|replica| Replica::new(parts.index, replica)),
            stock: parts.stock,
            silence: Silence::default(),
            relay: parts.relay,
            ids: IdBlock::default(),
            payment_ttl: parts.payment_ttl,
            metrics: OrderMetrics::new(),
        }
    }

    /// Whether the order's id names this shard.
    pub(super) fn owns(&self, order: OrderId) -> bool {
        order.get() % ORDER_ID_STEP == i64::from(self.index.get())
    }
}
