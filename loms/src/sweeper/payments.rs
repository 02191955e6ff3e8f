//! Cancels orders whose payment deadline has passed.

use futures::future::join_all;
use service_kit::database::DatabaseError;
use shared_actors::actor::Pass;
use shared_actors::crash_point;

use super::PAGES;
use super::metrics::swept;
use crate::domain::{Failure, OrderError, OrderStatus};
use crate::orders::{ChangeState, OrderShardHandle, queries};

/// The size of one batch of changes.
const BATCH: usize = 256;

/// A sweep uses at most the capacity divided by this, and leaves the rest to clients.
const SHARE: usize = 4;

/// Cancels due orders in the same way as a client does. Orders that are refused because of overload
/// are left to the next pass.
pub(super) async fn cancel_unpaid(orders: &OrderShardHandle) -> Result<Pass, Failure> {
    let limit = (orders.capacity() / SHARE).clamp(1, BATCH);
    for _ in 0..PAGES {
        let due =
            queries::unpaid(&orders.shard().primary, limit).await.map_err(DatabaseError::from)?;
        if due.is_empty() {
            return Ok(Pass::Done);
        }
        crash_point!("sweep::due");
        let cancel = |order| {
            orders.change(ChangeState { order, to: OrderStatus::Cancelled, traceparent: None })
        };
        let answers = join_all(due.iter().map(|order| cancel(*order))).await;
        crash_point!("sweep::cancelled");
        // An order that another instance cancelled is counted there.
        swept("payment", answers.iter().filter(|answer| **answer == Ok(true)).count());
        let left: Vec<OrderError> =
            answers.into_iter().filter_map(Result::err).filter(is_left).collect();
        if let Some(error) = left.first() {
            let (shard, orders) = (orders.shard().index, left.len());
            tracing::warn!(%error, %shard, orders, "unpaid orders could not be cancelled and settled yet");
            return Ok(Pass::Done);
        }
        if due.len() < limit {
            return Ok(Pass::Done);
        }
    }
    Ok(Pass::More)
}

/// Whether work is left after this error. An order that was paid at the last moment needs nothing
/// more.
fn is_left(refusal: &OrderError) -> bool {
    !matches!(refusal, OrderError::Forbidden { .. })
}
