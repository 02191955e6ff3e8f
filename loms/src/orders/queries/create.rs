//! Inserts new orders.

use std::collections::HashMap;
use std::time::Duration;

use service_kit::database::{Pool, observe};
use sqlx::FromRow;

use super::read::OrderRow;
use crate::domain::{Failure, IdempotencyKey, NewOrder, Order, OrderId, UserId};
use crate::items::{ItemArrays, decoded};

const NEXT_IDS: &str = "SELECT nextval('order_id_seq') FROM generate_series(1, $1)";

/// Takes new, unique order ids, in ascending order.
pub(crate) async fn next_ids(pool: &Pool, count: i32) -> Result<Vec<OrderId>, sqlx::Error> {
    let ids: Vec<i64> =
        observe("next_ids", sqlx::query_scalar(NEXT_IDS).bind(count).fetch_all(pool)).await?;
    ids.into_iter().map(decoded).collect()
}

const FIND_BY_KEYS: &str = "
SELECT id, user_id, state, skus, counts, idempotency_key
FROM unnest($1::bigint[], $2::text[]) AS wanted (user_id, idempotency_key)
JOIN orders USING (user_id, idempotency_key)";

#[derive(FromRow)]
struct KeyedRow {
    #[sqlx(flatten)]
    order: OrderRow,
    idempotency_key: String,
}

/// Orders by their key. A row that cannot be decoded is an error of that order only.
pub(crate) type ByKey = HashMap<(UserId, IdempotencyKey), Result<Order, Failure>>;

/// The orders that were created under these keys.
pub(crate) async fn find_by_keys(
    pool: &Pool,
    keys: &[(UserId, &IdempotencyKey)],
) -> Result<ByKey, sqlx::Error> {
    let (users, keys): (Vec<i64>, Vec<&str>) =
        keys.iter().map(|(user, key)| (user.get(), key.as_str())).unzip();
    let query = sqlx::query_as(FIND_BY_KEYS).bind(users).bind(keys);
    let rows: Vec<KeyedRow> = observe("find_orders_by_keys", query.fetch_all(pool)).await?;
    let keyed = |row: &KeyedRow| {
        let key = (decoded(row.order.user_id)?, decoded(row.idempotency_key.as_str())?);
        Ok((key, row.order.order()))
    };
    rows.iter().map(keyed).collect()
}

/// An order is inserted in its resulting state; only the history shows that it was `NEW` first. A
/// row that already exists with the same id or key is left alone.
const INSERT: &str = "
WITH input AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bool[], $5::text[], $6::int[], $7::int[])
        AS input (id, user_id, idempotency_key, failed, traceparent, first_item, last_item)
), inserted AS (
    INSERT INTO orders (id, state, user_id, skus, counts, idempotency_key, sequence, pay_before)
    SELECT id, CASE WHEN failed THEN 'FAILED' ELSE 'AWAITING_PAYMENT' END, user_id,
        ($8)[first_item:last_item], ($9)[first_item:last_item], idempotency_key, 2,
        CASE WHEN NOT failed THEN now() + $10 END
    FROM input
    ON CONFLICT DO NOTHING
    RETURNING id, state
), history AS (
    INSERT INTO order_history (order_id, sequence, state, traceparent)
    SELECT id, change.sequence, change.state, input.traceparent
    FROM inserted JOIN input USING (id), LATERAL (VALUES (1, 'NEW'), (2, inserted.state)) AS change (sequence, state)
), events AS (
    INSERT INTO outbox (order_ids, sequences, events)
    SELECT array_agg(id ORDER BY id, sequence), array_agg(sequence ORDER BY id, sequence), count(*)
    FROM inserted, generate_series(1, 2) AS sequence
    HAVING count(*) > 0
)
SELECT id FROM inserted";

/// An order to insert in the state that creating it led to.
#[derive(Clone, Copy)]
pub(crate) struct InsertedRow<'a> {
    pub id: OrderId,
    pub order: &'a NewOrder,
    /// Whether the state is `FAILED` instead of `AWAITING_PAYMENT`.
    pub failed: bool,
}

/// Inserts orders with their history and events. Returns the ids of those that did not exist
/// before.
pub(crate) async fn insert(
    pool: &Pool,
    rows: &[InsertedRow<'_>],
    payment_ttl: Duration,
) -> Result<Vec<OrderId>, sqlx::Error> {
    let items = ItemArrays::collect(rows.iter().map(|row| &row.order.lines));
    let query = sqlx::query_scalar(INSERT)
        .bind(rows.iter().map(|row| row.id.get()).collect::<Vec<i64>>())
        .bind(rows.iter().map(|row| row.order.user.get()).collect::<Vec<i64>>())
        .bind(
            rows.iter()
                .map(|row| row.order.key.as_ref().map(IdempotencyKey::as_str))
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|row| row.failed).collect::<Vec<bool>>())
        .bind(rows.iter().map(|row| row.order.traceparent.as_deref()).collect::<Vec<_>>())
        .bind(items.first)
        .bind(items.last)
        .bind(items.skus)
        .bind(items.counts)
        .bind(payment_ttl);
    let inserted: Vec<i64> = observe("insert_orders", query.fetch_all(pool)).await?;
    inserted.into_iter().map(decoded).collect()
}
