//! Orders whose time to be paid is over are cancelled.

use futures::future::join_all;
use shared_actors::crash_point;

use super::metrics::swept;
use crate::domain::{OrderError, OrderStatus};
use crate::orders::{OrderShardHandle, StateChange, queries};

/// As many as one batch of changes takes.
const LIMIT: i64 = 256;

/// Cancels all that is due, the same way as a client would.
pub(super) async fn cancel_unpaid(orders: &OrderShardHandle) -> Result<(), sqlx::Error> {
    loop {
        let due = queries::unpaid(&orders.shard().primary, LIMIT).await?;
        if due.is_empty() {
            return Ok(());
        }
        crash_point!("sweep::due");
        let cancel =
            |order| orders.change(StateChange { order, to: OrderStatus::Cancelled, traceparent: None });
        let answers = join_all(due.iter().map(|order| cancel(*order))).await;
        crash_point!("sweep::cancelled");
        let cancelled = answers.iter().filter(|answer| answer.is_ok()).count();
        swept("payment", cancelled);
        for error in answers.into_iter().filter_map(Result::err) {
            // Paid in the very last moment.
            if !matches!(error, OrderError::Forbidden { .. }) {
                tracing::warn!(%error, "an unpaid order is not cancelled and settled yet");
            }
        }
        let all_seen = i64::try_from(due.len()).unwrap_or(LIMIT) < LIMIT;
        if all_seen || cancelled == 0 {
            return Ok(());
        }
    }
}
