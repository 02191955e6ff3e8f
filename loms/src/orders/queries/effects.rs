//! What changed orders still have to do to the stock.

use std::time::Duration;

use shared_actors::database::{DatabaseError, Pool, observe};

use crate::items::decoded;
use crate::retry::after_conflict;
use crate::stock::{Effect, EffectKind};

/// Whoever forgets the same effects locks them in the same order.
const DELETE_EFFECTS: &str = "
WITH locked AS MATERIALIZED (
    SELECT order_id FROM stock_effects WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE
)
DELETE FROM stock_effects USING locked WHERE stock_effects.order_id = locked.order_id";

/// Forgets the effects of these orders: the stock has seen them.
pub(crate) async fn delete_effects(pool: &Pool, orders: &[i64]) -> Result<(), DatabaseError> {
    after_conflict(|| observe("delete_effects", sqlx::query(DELETE_EFFECTS).bind(orders).execute(pool)))
        .await?;
    Ok(())
}

const EFFECTS_OF: &str = "SELECT order_id, kind = 'TAKE' FROM stock_effects WHERE order_id = ANY($1)";

/// What these orders still have to do to the stock.
pub(crate) async fn effects_of(pool: &Pool, orders: &[i64]) -> Result<Vec<Effect>, sqlx::Error> {
    effects(observe("pending_effects", sqlx::query_as(EFFECTS_OF).bind(orders).fetch_all(pool)).await?)
}

const LATE_EFFECTS: &str = "
SELECT order_id, kind = 'TAKE' FROM stock_effects WHERE created_at < now() - $1 ORDER BY order_id LIMIT $2";

/// Effects that have waited for at least `age`.
pub(crate) async fn late_effects(pool: &Pool, age: Duration, limit: i64) -> Result<Vec<Effect>, sqlx::Error> {
    let query = sqlx::query_as(LATE_EFFECTS).bind(age).bind(limit);
    effects(observe("late_effects", query.fetch_all(pool)).await?)
}

/// Order, and whether it takes what it holds.
fn effects(rows: Vec<(i64, bool)>) -> Result<Vec<Effect>, sqlx::Error> {
    let kind = |takes| if takes { EffectKind::Take } else { EffectKind::Return };
    rows.into_iter().map(|(order, takes)| Ok(Effect { order: decoded(order)?, kind: kind(takes) })).collect()
}
