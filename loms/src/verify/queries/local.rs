//! The queries of the checks within one database, as texts for [`super::Check`].
//!
//! Each query ignores what another one reports, so that one defect is reported once. For example,
//! the last row of the history is compared only if there is one, and steps only between consecutive
//! rows.

use futures::TryStreamExt;
use service_kit::shard::ShardIndex;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;

use crate::domain::{OrderId, OrderStatus};

const STEP: i64 = OrderId::STEP;

pub(in crate::verify) const SKUS: &str = "FROM stock";
pub(in crate::verify) const ORDERS: &str = "FROM orders";
pub(in crate::verify) const KEYED: &str = "FROM orders WHERE idempotency_key IS NOT NULL";
pub(in crate::verify) const CHANGES: &str = "FROM order_history";
pub(in crate::verify) const EFFECTS: &str = "FROM stock_effects";

pub(in crate::verify) const OUT_OF_BOUNDS: &str =
    "SELECT sku AS id FROM stock WHERE reserved_count < 0 OR reserved_count > total_count";

pub(in crate::verify) const HELD: &str = "
SELECT coalesce(stock.sku, held.sku) AS id
FROM stock FULL JOIN (
    SELECT sku, sum(count) AS count FROM reservations, unnest(skus, counts) AS item (sku, count) GROUP BY sku
) AS held ON held.sku = stock.sku
WHERE stock.reserved_count IS DISTINCT FROM coalesce(held.count, 0)";

pub(in crate::verify) const UNSEEDED: &str =
    "SELECT coalesce(stock.sku, stock_seed.sku) AS id FROM stock FULL JOIN stock_seed ON stock_seed.sku = stock.sku
WHERE stock.sku IS NULL OR stock_seed.sku IS NULL";

pub(in crate::verify) const WRONG_LINES: &str = "
SELECT id FROM orders
WHERE cardinality(skus) = 0 OR cardinality(skus) <> cardinality(counts) OR EXISTS (
    SELECT FROM (
        SELECT sku, count, lag(sku) OVER (ORDER BY position) AS before
        FROM unnest(skus, counts) WITH ORDINALITY AS item (sku, count, position)
    ) AS line
    WHERE (sku BETWEEN 1 AND 4294967295 AND count BETWEEN 1 AND 4294967295 AND sku > coalesce(before, 0)) IS NOT TRUE
)";

pub(in crate::verify) const SECOND_KEYS: &str = "
SELECT max(id) AS id FROM orders WHERE idempotency_key IS NOT NULL
GROUP BY user_id, idempotency_key HAVING count(*) > 1";

/// Orders whose ids name another shard.
pub(in crate::verify) fn foreign_ids(shard: ShardIndex) -> String {
    format!("SELECT id FROM orders WHERE id % {STEP} <> {shard}")
}

/// Orders whose ids the shard's sequence has not issued yet. The sequence is not part of the
/// snapshot; its current value is at least as high as at that moment.
pub(in crate::verify) fn ungiven_ids(shard: ShardIndex) -> String {
    format!(
        "SELECT id FROM orders WHERE id % {STEP} = {shard}
            AND id > (SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM order_id_seq)"
    )
}

pub(in crate::verify) const LOST_CHANGES: &str = "SELECT DISTINCT order_id AS id FROM order_history WHERE NOT EXISTS (SELECT FROM orders WHERE id = order_id)";

pub(in crate::verify) const GAPS: &str = "
SELECT order_id AS id FROM order_history GROUP BY order_id
HAVING min(sequence) <> 1 OR max(sequence) <> count(*)";

pub(in crate::verify) const OTHER_SEQUENCES: &str = "
SELECT id FROM orders LEFT JOIN (
    SELECT order_id, max(sequence) AS sequence FROM order_history GROUP BY order_id
) AS last ON last.order_id = orders.id
WHERE orders.sequence IS DISTINCT FROM last.sequence";

pub(in crate::verify) const OTHER_STATES: &str = "
SELECT id FROM orders JOIN order_history AS last ON last.order_id = orders.id AND last.sequence = orders.sequence
WHERE orders.state <> last.state";

/// Changes to a state that may not follow the previous one.
pub(in crate::verify) fn illegal_steps() -> String {
    let ways = OrderStatus::ALL.into_iter().flat_map(|from| OrderStatus::ALL.map(|to| (from, to)));
    let legal: Vec<String> = ways
        .filter(|(from, to)| from.may_become(*to))
        .map(|(from, to)| format!("('{from}', '{to}')"))
        .collect();
    format!(
        "SELECT DISTINCT order_id AS id FROM (
            SELECT order_id, sequence, state, lag(state) OVER changes AS before, lag(sequence) OVER changes AS follows
            FROM order_history WINDOW changes AS (PARTITION BY order_id ORDER BY sequence)
        ) AS step
        WHERE CASE
            WHEN sequence = 1 THEN state <> '{}'
            WHEN sequence = follows + 1 THEN (before, state) NOT IN ({})
        END",
        OrderStatus::New,
        legal.join(", ")
    )
}

pub(in crate::verify) const DUPLICATE_EVENT_IDS: &str = "
SELECT order_id AS id FROM order_history WHERE event_id IN (
    SELECT event_id FROM order_history GROUP BY event_id HAVING count(*) > 1
)";

pub(in crate::verify) const EVENTS: &str =
    "FROM outbox, unnest(order_ids, sequences) AS event (order_id, sequence)";

/// The events of the outbox in their order, one per row.
const PENDING: &str = "
SELECT outbox.id AS row, event.position, event.order_id, event.sequence
FROM outbox, unnest(order_ids, sequences) WITH ORDINALITY AS event (order_id, sequence, position)";

/// Events that the relay cannot publish.
pub(in crate::verify) fn strange_events() -> String {
    format!(
        "SELECT coalesce(pending.order_id, 0) AS id FROM ({PENDING}) AS pending
        LEFT JOIN order_history AS history USING (order_id, sequence) LEFT JOIN orders ON orders.id = pending.order_id
        WHERE history.order_id IS NULL OR orders.id IS NULL
        UNION ALL SELECT order_id FROM unknown_events
        UNION ALL SELECT order_id FROM refused_events"
    )
}

pub(in crate::verify) fn repeated_events() -> String {
    format!(
        "SELECT order_id AS id FROM ({PENDING}) AS pending
        GROUP BY order_id, sequence HAVING count(*) > 1"
    )
}

/// Events that the relay would publish after later ones of the same order.
pub(in crate::verify) fn misordered_events() -> String {
    format!(
        "SELECT DISTINCT order_id AS id FROM (
            SELECT order_id, sequence, lag(sequence) OVER (PARTITION BY order_id ORDER BY row, position) AS before
            FROM (
                SELECT DISTINCT ON (order_id, sequence) * FROM ({PENDING}) AS pending
                ORDER BY order_id, sequence, row, position
            ) AS first
        ) AS step
        WHERE before > sequence"
    )
}

/// Changes without an event in the outbox, although an earlier event of the same order still waits.
/// The relay publishes in order, so such an event is lost.
pub(in crate::verify) fn lost_events() -> String {
    format!(
        "WITH pending AS MATERIALIZED ({PENDING})
        SELECT DISTINCT history.order_id AS id
        FROM (SELECT order_id, min(sequence) AS sequence FROM pending GROUP BY order_id) AS earliest
        JOIN order_history AS history
            ON history.order_id = earliest.order_id AND history.sequence > earliest.sequence
        LEFT JOIN pending ON pending.order_id = history.order_id AND pending.sequence = history.sequence
        WHERE pending.order_id IS NULL"
    )
}

pub(in crate::verify) const MISPLACED_EFFECTS: &str = "
SELECT order_id AS id FROM stock_effects LEFT JOIN orders ON orders.id = order_id
WHERE ((kind, state) IN (('TAKE', 'PAYED'), ('RETURN', 'CANCELLED'), ('RETURN', 'FAILED'))) IS NOT TRUE";

pub(in crate::verify) const REFUSED_EFFECTS: &str =
    "SELECT order_id AS id FROM stock_effects WHERE refused_at IS NOT NULL";

const USERS: &str =
    "SELECT user_id, min(id) AS first_order FROM orders WHERE id % $1 = $2 GROUP BY user_id";

#[derive(FromRow)]
struct UserRow {
    user_id: i64,
    first_order: i64,
}

/// Calls `each` for every user with orders on this shard, with the user's first order. Returns the
/// number of users.
pub(in crate::verify) async fn users(
    connection: &mut PgConnection,
    shard: ShardIndex,
    mut each: impl FnMut(i64, i64),
) -> Result<u64, sqlx::Error> {
    let query = sqlx::query_as(USERS).bind(STEP).bind(i64::from(shard.get()));
    let mut rows = query.fetch(connection);
    let mut users = 0;
    while let Some(UserRow { user_id, first_order }) = rows.try_next().await? {
        each(user_id, first_order);
        users += 1;
    }
    Ok(users)
}
