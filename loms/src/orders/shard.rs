//! The state that all commands of one shard of orders share. Each command has its own file.

use std::sync::Arc;
use std::time::Duration;

use service_kit::database::Pool;
use service_kit::settings::DatabaseSettings;
use service_kit::shard::ShardIndex;
use shared_actors::actor::{ActorOptions, ArbiterHandle, BatchActor, BatchLimits, Handle};

use super::ids::IdBlock;
use super::metrics::OrderMetrics;
use super::pulse::Pulse;
use super::replica::{Replica, ReplicaParts};
use super::settle::{SettlementActor, Settlements};
use crate::domain::OrderId;
use crate::outbox::RelayHandle;
use crate::stock::StockHandle;

/// Limits of one batch. While one batch waits for the stock or the disk, a second one runs.
pub(super) const LIMITS: BatchLimits =
    BatchLimits { commands: 256, weight: usize::MAX, concurrency: 2 };

/// Limits of batches that read orders. An order has up to 1,000 lines, and how many is known only
/// when it is read: so a batch has at most 64,000 lines, which is about 1 MiB.
pub(super) const READ_LIMITS: BatchLimits = BatchLimits { commands: 64, ..LIMITS };

/// Executes the commands of one shard of orders.
pub(super) type OrderShardActor = BatchActor<OrderShard>;

/// One shard of orders: its databases and the actors it depends on.
pub(crate) struct OrderShard {
    pub(crate) index: ShardIndex,
    pub(super) database: DatabaseSettings,
    pub(crate) primary: Pool,
    pub(super) pulse: Pulse,
    pub(super) replica: Option<Replica>,
    pub(super) stock: StockHandle,
    pub(crate) settlements: Arc<Settlements>,
    /// Settles payments, which are answered before.
    pub(super) paid: Handle<SettlementActor>,
    pub(super) relay: RelayHandle,
    pub(super) ids: IdBlock,
    pub(super) payment_ttl: Duration,
    pub(super) metrics: OrderMetrics,
}

/// The parts of a shard of orders.
pub struct OrderShardParts {
    /// The number of the shard.
    pub index: ShardIndex,
    /// The primary, where orders are decided.
    pub database: DatabaseSettings,
    /// Connections to the primary.
    pub primary: Pool,
    /// The replica that lists may be read from.
    pub replica: Option<ReplicaParts>,
    /// The stock that orders reserve from.
    pub stock: StockHandle,
    /// The relay that publishes this shard's events.
    pub relay: RelayHandle,
    /// How long an order may await its payment.
    pub payment_ttl: Duration,
}

impl OrderShard {
    /// Creates the shard, and starts the actor that settles its payments on `arbiter`.
    pub(super) fn new(parts: OrderShardParts, arbiter: &ArbiterHandle) -> Self {
        let settlements = Settlements::new(parts.index, parts.primary.clone(), parts.stock.clone());
        let settlements = Arc::new(settlements);
        let options = ActorOptions::new("order_settlements");
        Self {
            index: parts.index,
            database: parts.database,
            primary: parts.primary,
            pulse: Pulse::default(),
            replica: parts.replica.map(|replica| Replica::new(parts.index, replica)),
            stock: parts.stock,
            paid: SettlementActor::start(options, arbiter, Arc::clone(&settlements)),
            settlements,
            relay: parts.relay,
            ids: IdBlock::default(),
            payment_ttl: parts.payment_ttl,
            metrics: OrderMetrics::new(),
        }
    }

    /// Whether the order's id names this shard.
    pub(super) fn owns(&self, order: OrderId) -> bool {
        order.get() % OrderId::STEP == i64::from(self.index.get())
    }
}
