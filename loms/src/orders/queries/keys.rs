//! Deletes the idempotency keys of old orders.

use std::time::Duration;

use service_kit::database::{Pool, observe};

use crate::items::count;

/// Orders that still hold stock, or are about to settle it, keep their key, because their
/// reservation carries it, too. Concurrent instances share the work: each skips rows that another
/// has locked.
const FORGET_KEYS: &str = "
WITH old AS MATERIALIZED (
    SELECT id FROM orders
    WHERE idempotency_key IS NOT NULL AND created_at < now() - $1 AND state <> 'AWAITING_PAYMENT'
        AND NOT EXISTS (SELECT FROM stock_effects WHERE order_id = id)
    ORDER BY created_at LIMIT $2
    FOR UPDATE SKIP LOCKED
)
UPDATE orders SET idempotency_key = NULL FROM old WHERE orders.id = old.id";

/// Deletes the keys of at most `limit` orders older than `age`. Returns how many were deleted.
pub(crate) async fn forget_keys(
    pool: &Pool,
    age: Duration,
    limit: i64,
) -> Result<usize, sqlx::Error> {
    let query = sqlx::query(FORGET_KEYS).bind(age).bind(limit);
    let forgotten = observe("forget_keys", query.execute(pool)).await?.rows_affected();
    Ok(count(forgotten))
}
