//! Reservations whose order was never written down are given back.

use std::collections::HashSet;
use std::time::Duration;

use shared_actors::crash_point;
use shared_actors::database::DatabaseError;

use super::PAGES;
use super::cursor::Cursor;
use super::metrics::swept;
use crate::domain::{NewOrder, OrderError, OrderId};
use crate::orders::{InsertedRow, OrderShard, queries};
use crate::stock::{Effect, EffectKind, OpenReservation, OpenSince, StockHandle};

const LIMIT: i64 = 1000;

/// Looks at the shard's open reservations that are older than `grace` and were not looked at since the cursor started: as
/// many as one pass may, the next one goes on at the cursor.
pub(super) async fn give_back_orphans(
    shard: &OrderShard,
    stock: &StockHandle,
    grace: Duration,
    cursor: &mut Cursor,
) -> Result<(), OrderError> {
    for _ in 0..PAGES {
        let wanted = OpenSince {
            shard: i64::from(shard.index.get()),
            age: grace,
            after: (cursor.created_at, cursor.order),
            limit: LIMIT,
        };
        let open = stock.open_since(&wanted).await.map_err(DatabaseError::from)?;
        let Some(last) = open.last() else { break };
        let (created_at, order) = (last.created_at, last.request.order.get());

        let owned = owned(shard, &open).await?;
        let orphans: Vec<OpenReservation> =
            open.into_iter().filter(|reservation| !owned.contains(&reservation.request.order)).collect();
        if !orphans.is_empty() {
            crash_point!("sweep::orphans");
            give_back(shard, stock, &orphans).await?;
        }
        cursor.advance(created_at, order);
    }
    Ok(())
}

/// The orders that are there and hold their reservation by right. A failed one holds none.
async fn owned(shard: &OrderShard, open: &[OpenReservation]) -> Result<HashSet<OrderId>, OrderError> {
    let ids: Vec<i64> = open.iter().map(|reservation| reservation.request.order.get()).collect();
    let owned = queries::not_failed(&shard.primary, &ids).await.map_err(DatabaseError::from)?;
    Ok(owned.into_iter().collect())
}

/// Writes each order down as failed first: whoever is still about to write it finds it taken. Only then does its
/// reservation go; one whose order was written down after all stays.
async fn give_back(
    shard: &OrderShard,
    stock: &StockHandle,
    orphans: &[OpenReservation],
) -> Result<(), OrderError> {
    let failed: Vec<(OrderId, NewOrder)> = orphans.iter().map(as_order).collect();
    let rows: Vec<InsertedRow<'_>> =
        failed.iter().map(|(id, order)| InsertedRow { id: *id, order, failed: true }).collect();
    shard.insert(&rows).await?;
    crash_point!("sweep::tombstoned");
    let owned = owned(shard, orphans).await?;
    let effects: Vec<Effect> = failed
        .iter()
        .filter(|(id, _)| !owned.contains(id))
        .map(|(id, _)| Effect { order: *id, kind: EffectKind::Return })
        .collect();
    if effects.is_empty() {
        return Ok(());
    }
    crash_point!("sweep::fenced");
    let count = effects.len();
    stock.settle(effects).await?;
    crash_point!("sweep::returned");
    swept("reservation", count);
    tracing::warn!(shard = %shard.index, count, "reservations without an order were given back");
    Ok(())
}

fn as_order(orphan: &OpenReservation) -> (OrderId, NewOrder) {
    let request = &orphan.request;
    let (key, lines) = (request.key.clone(), request.lines.clone());
    (request.order, NewOrder { user: request.user, lines, key, traceparent: None })
}
