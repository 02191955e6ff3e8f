//! Orders whose time to be paid is over are cancelled.

use futures::future::join_all;
use shared_actors::actor::Pass;
use shared_actors::crash_point;
use shared_actors::database::DatabaseError;

use super::PAGES;
use super::metrics::swept;
use crate::domain::{OrderError, OrderStatus};
use crate::orders::{ChangeState, OrderShardHandle, queries};

/// As many as one batch of changes takes.
const BATCH: usize = 256;

/// A sweep takes at most one in so many of the places for commands: the others are for clients.
const SHARE: usize = 4;

/// Cancels what is due, the same way as a client would. What is not cancelled because too much is waiting already is left
/// to the next pass.
pub(super) async fn cancel_unpaid(orders: &OrderShardHandle) -> Result<Pass, OrderError> {
    let limit = (orders.capacity() / SHARE).clamp(1, BATCH);
    for _ in 0..PAGES {
        let due = queries::unpaid(&orders.shard().primary, limit).await.map_err(DatabaseError::from)?;
        if due.is_empty() {
            return Ok(Pass::Done);
        }
        crash_point!("sweep::due");
        let cancel =
            |order| orders.change(ChangeState { order, to: OrderStatus::Cancelled, traceparent: None });
        let answers = join_all(due.iter().map(|order| cancel(*order))).await;
        crash_point!("sweep::cancelled");
        // One that another instance cancelled is counted there.
        swept("payment", answers.iter().filter(|answer| **answer == Ok(true)).count());
        let left: Vec<OrderError> = answers.into_iter().filter_map(Result::err).filter(is_left).collect();
        if let Some(error) = left.first() {
            let (shard, orders) = (orders.shard().index, left.len());
            tracing::warn!(%error, %shard, orders, "unpaid orders are not cancelled and settled yet");
            return Ok(Pass::Done);
        }
        if due.len() < limit {
            return Ok(Pass::Done);
        }
    }
    Ok(Pass::More)
}

/// Whether something is left to do after this refusal: an order that was paid in the very last moment is done with.
fn is_left(refusal: &OrderError) -> bool {
    !matches!(refusal, OrderError::Forbidden { .. })
}
