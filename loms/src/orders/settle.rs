//! What changed orders do to the stock, and how long an answer waits for that.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use shared_actors::crash_point;
use tokio::time::{Instant, timeout};

use super::shard::OrderShard;
use super::{metrics, queries};
use crate::domain::{OrderError, OrderId};
use crate::stock::{Effect, Settlement};

/// How long an answer waits for the stock, and for how long after that in vain the next ones do not.
const STOCK_BOUND: Duration = Duration::from_secs(2);

/// Since when the stock is known not to answer.
#[derive(Default)]
pub(super) struct Silence(Mutex<Option<Instant>>);

impl Silence {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn lasts(&self) -> bool {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < STOCK_BOUND)
    }
}

/// What became of effects that were settled.
pub(crate) struct Settled {
    /// How many were forgotten, now and by this process.
    pub forgotten: usize,
    /// The orders whose effects the stock does not admit.
    pub refused: HashSet<OrderId>,
}

impl OrderShard {
    /// Settles unless the stock was silent just now: batches that wait one after another for a server that does not answer would
    /// hold up payments, which need nothing of it. Answers as [`Self::settle`] does.
    pub(super) async fn settle_unless_silent(&self, effects: Vec<Effect>) -> Option<Settled> {
        if self.silence.lasts() { None } else { self.settle(effects).await }
    }

    /// Does to the stock what changed orders require, and forgets the effects; what the stock does not admit is set aside.
    /// `None` when that did not work: the effects stay written down.
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
            Ok::<_, OrderError>(Settled {
                forgotten,
                refused: refused.iter().map(|effect| effect.order).collect(),
            })
        };
        let result = timeout(STOCK_BOUND, settled).await.unwrap_or(Err(OrderError::DeadlineExceeded));
        let silent = matches!(result, Err(OrderError::DeadlineExceeded));
        self.silence.set(silent.then(Instant::now));
        let left = |error: &OrderError| tracing::warn!(%error, count, shard = %self.index, "stock effects were not applied, the sweeper will retry");
        result.inspect_err(left).ok()
    }

    /// Writes down which effects the stock does not admit. They are tried again from time to time: somebody has to mend
    /// the row of the stock that stands in their way.
    pub(crate) async fn set_aside(&self, refused: &[Effect]) -> Result<(), OrderError> {
        if refused.is_empty() {
            return Ok(());
        }
        metrics::effects_refused(refused.len());
        Ok(queries::set_aside(&self.primary, refused).await?)
    }
}
