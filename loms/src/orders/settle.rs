//! What changed orders do to the stock, and how long an answer waits for that.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use shared_actors::crash_point;
use tokio::time::{Instant, timeout};

use super::queries;
use super::shard::OrderShard;
use crate::domain::OrderError;
use crate::stock::Effect;

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

impl OrderShard {
    /// Settles unless the stock was silent just now: batches that wait one after another for a server that does not answer would
    /// hold up payments, which need nothing of it. Answers whether that worked.
    pub(super) async fn settle_unless_silent(&self, effects: Vec<Effect>) -> bool {
        !self.silence.lasts() && self.settle(effects).await
    }

    /// Does to the stock what changed orders require, and forgets the effects. Answers whether that worked; what did not
    /// stays written down.
    pub(crate) async fn settle(&self, effects: Vec<Effect>) -> bool {
        let orders: Vec<i64> = effects.iter().map(|effect| effect.order.get()).collect();
        let settled = async {
            self.stock.settle(effects).await?;
            crash_point!("change::settled");
            queries::delete_effects(&self.primary, &orders).await?;
            crash_point!("change::forgotten");
            Ok::<(), OrderError>(())
        };
        let result = timeout(STOCK_BOUND, settled).await.unwrap_or(Err(OrderError::DeadlineExceeded));
        let silent = matches!(result, Err(OrderError::DeadlineExceeded));
        self.silence.set(silent.then(Instant::now));
        if let Err(error) = &result {
            tracing::warn!(%error, orders = orders.len(), shard = %self.index, "left to the sweeper to settle");
        }
        result.is_ok()
    }
}
