//! The pending effects of changed orders on the stock.

use std::time::Duration;

use service_kit::database::{DatabaseError, Pool, observe};
use sqlx::FromRow;

use crate::items::{count, decoded};
use crate::retry::after_conflict;
use crate::stock::{Effect, EffectKind};

/// Locks the rows in id order, so that concurrent deletes cannot deadlock.
const DELETE_EFFECTS: &str = "
WITH locked AS MATERIALIZED (
    SELECT order_id FROM stock_effects WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE
)
DELETE FROM stock_effects USING locked WHERE stock_effects.order_id = locked.order_id";

/// Deletes the effects of these orders, after the stock has applied them. Returns how many were
/// still there.
pub(crate) async fn delete_effects(pool: &Pool, orders: &[i64]) -> Result<usize, DatabaseError> {
    let delete =
        || observe("delete_effects", sqlx::query(DELETE_EFFECTS).bind(orders).execute(pool));
    Ok(count(after_conflict(delete).await?.rows_affected()))
}

const SET_ASIDE: &str = "
INSERT INTO stock_effects (order_id, kind, refused_at)
SELECT order_id, kind, now() FROM unnest($1::bigint[], $2::text[]) AS refused (order_id, kind) ORDER BY order_id
ON CONFLICT (order_id) DO UPDATE SET refused_at = now()";

/// Marks effects that the stock refused, so that they do not block later ones.
pub(crate) async fn set_aside(pool: &Pool, refused: &[Effect]) -> Result<(), DatabaseError> {
    let orders: Vec<i64> = refused.iter().map(|effect| effect.order.get()).collect();
    let kinds: Vec<&str> = refused.iter().map(|effect| effect.kind.as_str()).collect();
    let write = || {
        observe(
            "set_effects_aside",
            sqlx::query(SET_ASIDE).bind(&orders).bind(&kinds).execute(pool),
        )
    };
    after_conflict(write).await?;
    Ok(())
}

#[derive(FromRow)]
struct EffectRow {
    order_id: i64,
    takes: bool,
}

const EFFECTS_OF: &str =
    "SELECT order_id, kind = 'TAKE' AS takes FROM stock_effects WHERE order_id = ANY($1)";

/// The pending effects of these orders.
pub(crate) async fn effects_of(pool: &Pool, orders: &[i64]) -> Result<Vec<Effect>, sqlx::Error> {
    effects(
        observe("pending_effects", sqlx::query_as(EFFECTS_OF).bind(orders).fetch_all(pool)).await?,
    )
}

const LATE_EFFECTS: &str = "
SELECT order_id, kind = 'TAKE' AS takes FROM stock_effects
WHERE created_at < now() - $1 AND (refused_at IS NULL OR refused_at < now() - $2) ORDER BY order_id LIMIT $3";

/// Effects that have been pending for at least `age`. Refused effects are returned only if their
/// last refusal is at least `rest` ago.
pub(crate) async fn late_effects(
    pool: &Pool,
    age: Duration,
    rest: Duration,
    limit: i64,
) -> Result<Vec<Effect>, sqlx::Error> {
    let query = sqlx::query_as(LATE_EFFECTS).bind(age).bind(rest).bind(limit);
    effects(observe("late_effects", query.fetch_all(pool)).await?)
}

fn effects(rows: Vec<EffectRow>) -> Result<Vec<Effect>, sqlx::Error> {
    let kind = |takes| if takes { EffectKind::Take } else { EffectKind::Return };
    rows.into_iter()
        .map(|row| Ok(Effect { order: decoded(row.order_id)?, kind: kind(row.takes) }))
        .collect()
}
