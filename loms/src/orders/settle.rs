//! Applies the effects of changed orders to the stock, and limits how long an answer waits for
//! that.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use service_kit::database::Pool;
use service_kit::shard::ShardIndex;
use shared_actors::actor::{BatchActor, BatchLimits, Command, Commit};
use shared_actors::crash_point;
use tokio::time::{Instant, timeout};

use super::{metrics, queries};
use crate::domain::{Failure, OrderId};
use crate::stock::{Effect, Settlement, StockHandle};

/// How long an answer, or the settlement of payments, waits for the stock. After a timeout, later
/// ones skip the wait for this long.
const STOCK_BOUND: Duration = Duration::from_secs(2);

/// The maximum number of effects that are settled together.
const MAX_EFFECTS: usize = 256;

/// When the stock last failed to answer in time, if it has not answered since.
#[derive(Default)]
struct Silence(Mutex<Option<Instant>>);

impl Silence {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn lasts(&self) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < STOCK_BOUND)
    }
}

/// The result of settling effects.
pub(crate) struct Settled {
    /// How many pending effects this call deleted.
    pub forgotten: usize,
    /// The orders whose effects the stock refused.
    pub refused: HashSet<OrderId>,
}

/// Settles the effects of one shard of orders with the stock.
pub(crate) struct Settlements {
    index: ShardIndex,
    primary: Pool,
    stock: StockHandle,
    silence: Silence,
}

/// Settles effects whose requests do not wait for that.
pub(super) type SettlementActor = BatchActor<Settlements>;

/// Settles the effects of payments. Nobody waits for the answer. What it does not settle is left to
/// the sweeper.
pub(super) struct SettlePaid(pub Vec<Effect>);

impl Command for SettlePaid {
    type Output = ();
    type Error = Failure;
    const NAME: &'static str = "settle_paid";
}

impl Commit<SettlePaid> for Settlements {
    fn limits(&self) -> BatchLimits {
        BatchLimits { commands: MAX_EFFECTS, weight: MAX_EFFECTS, concurrency: 1 }
    }

    fn weight(SettlePaid(effects): &SettlePaid) -> usize {
        effects.len()
    }

    async fn commit(&self, batch: Vec<SettlePaid>) -> Vec<Result<(), Failure>> {
        let count = batch.len();
        let effects = batch.into_iter().flat_map(|SettlePaid(effects)| effects).collect();
        // Failures are logged there. While the stock is silent, the effects are left to the sweeper.
        let _ = self.settle_unless_silent(effects).await;
        vec![Ok(()); count]
    }
}

impl Settlements {
    pub(super) fn new(index: ShardIndex, primary: Pool, stock: StockHandle) -> Self {
        Self { index, primary, stock, silence: Silence::default() }
    }

    /// Settles, unless the stock has just timed out. Without this check, batches would wait one after
    /// another for a dead server. Returns the same as [`Self::settle`].
    pub(super) async fn settle_unless_silent(&self, effects: Vec<Effect>) -> Option<Settled> {
        if self.silence.lasts() { None } else { self.settle(effects).await }
    }

    /// Applies effects to the stock and deletes them. Effects that the stock refuses are set aside.
    /// Returns `None` on failure; the effects then stay recorded.
    pub(crate) async fn settle(&self, effects: Vec<Effect>) -> Option<Settled> {
        let count = effects.len();
        let settled = async {
            let Settlement { refused, .. } = self.stock.settle(effects.clone()).await?;
            crash_point!("change::settled");
            let (refused, done): (Vec<Effect>, Vec<Effect>) =
                effects.into_iter().partition(|effect| refused.contains(&effect.order));
            let done: Vec<i64> = done.iter().map(|effect| effect.order.get()).collect();
            let forgotten = queries::delete_effects(&self.primary, &done).await?;
            crash_point!("change::forgotten");
            self.set_aside(&refused).await?;
            Ok::<_, Failure>(Settled {
                forgotten,
                refused: refused.iter().map(|effect| effect.order).collect(),
            })
        };
        let result = timeout(STOCK_BOUND, settled).await.unwrap_or(Err(Failure::DeadlineExceeded));
        let silent = matches!(result, Err(Failure::DeadlineExceeded));
        self.silence.set(silent.then(Instant::now));
        let left = |error: &Failure| tracing::warn!(%error, count, shard = %self.index, "stock effects were not applied, the sweeper will retry");
        result.inspect_err(left).ok()
    }

    /// Marks the effects that the stock refused. The sweeper retries them from time to time, but an
    /// operator must first repair the row of the stock that blocks them.
    pub(crate) async fn set_aside(&self, refused: &[Effect]) -> Result<(), Failure> {
        if refused.is_empty() {
            return Ok(());
        }
        metrics::effects_refused(refused.len());
        Ok(queries::set_aside(&self.primary, refused).await?)
    }
}
