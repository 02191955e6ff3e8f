//! Gives back reservations whose order was never inserted.

use std::collections::HashSet;
use std::time::Duration;

use service_kit::database::DatabaseError;
use shared_actors::actor::Pass;
use shared_actors::crash_point;

use super::PAGES;
use super::cursor::Cursor;
use super::metrics::swept;
use crate::domain::{Failure, NewOrder, OrderId};
use crate::orders::{InsertedRow, OrderShard, queries};
use crate::stock::{Effect, EffectKind, OpenSince, ReservationRequest, Settlement, StockHandle};

const LIMIT: i64 = 1000;
/// How many tombstones are inserted together. Their events share one row of the outbox.
const TOMBSTONES: usize = 100;

/// Checks the shard's open reservations that are older than `grace`, from the cursor on. A pass
/// checks a bounded number, and the next one continues at the cursor.
pub(super) async fn give_back_orphans(
    shard: &OrderShard,
    stock: &StockHandle,
    grace: Duration,
    cursor: &mut Cursor,
) -> Result<Pass, Failure> {
    for _ in 0..PAGES {
        let wanted = OpenSince {
            shard: i64::from(shard.index.get()),
            age: grace,
            after: (cursor.created_at, cursor.order),
            limit: LIMIT,
        };
        let open = stock.open_since(&wanted).await.map_err(DatabaseError::from)?;
        let Some(last) = open.last() else { return Ok(Pass::Done) };

        let ids: Vec<i64> = open.iter().map(|reservation| reservation.order_id).collect();
        let owned = owned(shard, &ids).await?;
        let orphans: Vec<i64> = ids.into_iter().filter(|id| !owned.contains(id)).collect();
        for orphans in orphans.chunks(TOMBSTONES) {
            crash_point!("sweep::orphans");
            give_back(shard, stock, orphans).await?;
        }
        cursor.advance(last.created_at, last.order_id);
    }
    Ok(Pass::More)
}

/// Those of the orders that exist and have not failed. Only these own their reservation.
async fn owned(shard: &OrderShard, ids: &[i64]) -> Result<HashSet<i64>, Failure> {
    let owned = queries::not_failed(&shard.primary, ids).await.map_err(DatabaseError::from)?;
    Ok(owned.into_iter().map(OrderId::get).collect())
}

/// Inserts each order as failed first, so that a late insert of the order fails. Only then is its
/// reservation given back. If the order was inserted after all, its reservation stays.
async fn give_back(
    shard: &OrderShard,
    stock: &StockHandle,
    orphans: &[i64],
) -> Result<(), Failure> {
    let held = stock.held_by(orphans).await.map_err(DatabaseError::from)?;
    let failed: Vec<(OrderId, NewOrder)> = held.into_iter().map(tombstone).collect();
    let rows: Vec<InsertedRow<'_>> =
        failed.iter().map(|(id, order)| InsertedRow { id: *id, order, failed: true }).collect();
    shard.insert(&rows).await?;
    crash_point!("sweep::tombstoned");
    let owned = owned(shard, orphans).await?;
    let fenced = failed.iter().map(|(id, _)| *id).filter(|id| !owned.contains(&id.get()));
    let effects: Vec<Effect> =
        fenced.map(|order| Effect { order, kind: EffectKind::Return }).collect();
    if effects.is_empty() {
        return Ok(());
    }
    crash_point!("sweep::fenced");
    let Settlement { ended, refused } = stock.settle(effects).await?;
    crash_point!("sweep::returned");
    let refused: Vec<Effect> =
        refused.into_iter().map(|order| Effect { order, kind: EffectKind::Return }).collect();
    shard.settlements.set_aside(&refused).await?;
    swept("reservation", ended.len());
    tracing::warn!(shard = %shard.index, count = ended.len(), "reservations without an order were given back");
    Ok(())
}

/// A failed order without the key, so that a client's retry with the key can still create an order.
fn tombstone(held: ReservationRequest) -> (OrderId, NewOrder) {
    let ReservationRequest { order, user, lines, .. } = held;
    (order, NewOrder { user, lines, key: None, traceparent: None })
}
