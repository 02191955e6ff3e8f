//! Orders whose time to be paid is over are cancelled.

use futures::future::join_all;
use shared_actors::crash_point;

use super::PAGES;
use super::metrics::swept;
use crate::domain::{OrderError, OrderStatus};
use crate::orders::{OrderShardHandle, StateChange, queries};

/// As many as one batch of changes takes.
const BATCH: usize = 256;

/// A sweep takes at most one in so many of the places for commands: the others are for clients.
const SHARE: usize = 4;

/// Cancels what is due, the same way as a client would. What is not cancelled because too much is waiting already is left
/// to the next pass.
pub(super) async fn cancel_unpaid(orders: &OrderShardHandle) -> Result<(), sqlx::Error> {
    let limit = (orders.capacity() / SHARE).clamp(1, BATCH);
    for _ in 0..PAGES {
        let due = queries::unpaid(&orders.shard().primary, limit).await?;
        if due.is_empty() {
            break;
        }
        crash_point!("sweep::due");
        let cancel =
            |order| orders.change(StateChange { order, to: OrderStatus::Cancelled, traceparent: None });
        let answers = join_all(due.iter().map(|order| cancel(*order))).await;
        crash_point!("sweep::cancelled");
        swept("payment", answers.iter().filter(|answer| answer.is_ok()).count());
        let left: Vec<OrderError> = answers.into_iter().filter_map(Result::err).filter(is_left).collect();
        if let Some(error) = left.first() {
            let (shard, orders) = (orders.shard().index, left.len());
            tracing::warn!(%error, %shard, orders, "unpaid orders are not cancelled and settled yet");
            break;
        }
        if due.len() < limit {
            break;
        }
    }
    Ok(())
}

/// Whether something is left to do after this refusal: an order that was paid in the very last moment is done with.
fn is_left(refusal: &OrderError) -> bool {
    !matches!(refusal, OrderError::Forbidden { .. })
}
