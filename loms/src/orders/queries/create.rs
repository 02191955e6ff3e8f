//! Inserts new orders.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use service_kit::database::{Pool, observe};
use sqlx::FromRow;
use uuid::Uuid;

use super::read::OrderRow;
use crate::domain::{Failure, IdempotencyKey, NewOrder, Order, OrderId, OrderStatus, UserId};
use crate::items::{ItemArrays, decoded};
use crate::outbox::{CommittedRow, OrderEvent};

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
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bool[], $5::text[], $6::int[], $7::int[],
            $11::uuid[], $12::uuid[])
        AS input (id, user_id, idempotency_key, failed, traceparent, first_item, last_item, first_event, second_event)
), inserted AS (
    INSERT INTO orders (id, state, user_id, skus, counts, idempotency_key, sequence, pay_before)
    SELECT id, CASE WHEN failed THEN 'FAILED' ELSE 'AWAITING_PAYMENT' END, user_id,
        ($8)[first_item:last_item], ($9)[first_item:last_item], idempotency_key, 2,
        CASE WHEN NOT failed THEN now() + $10 END
    FROM input
    ON CONFLICT DO NOTHING
    RETURNING id, state
), history AS (
    INSERT INTO order_history (order_id, sequence, state, event_id, traceparent)
    SELECT id, change.sequence, change.state, change.event_id, input.traceparent
    FROM inserted JOIN input USING (id),
        LATERAL (VALUES (1, 'NEW', input.first_event), (2, inserted.state, input.second_event))
            AS change (sequence, state, event_id)
), events AS (
    INSERT INTO outbox (order_ids, sequences, events)
    SELECT array_agg(id ORDER BY id, sequence), array_agg(sequence ORDER BY id, sequence), count(*)
    FROM inserted, generate_series(1, 2) AS sequence
    HAVING count(*) > 0
    RETURNING id
)
SELECT id, (SELECT id FROM events) AS outbox_id, now() AS occurred_at FROM inserted ORDER BY id";

#[derive(FromRow)]
struct InsertedId {
    id: i64,
    outbox_id: i64,
    occurred_at: DateTime<Utc>,
}

/// An order to insert in the state that creating it led to.
#[derive(Clone, Copy)]
pub(crate) struct InsertedRow<'a> {
    pub id: OrderId,
    pub order: &'a NewOrder,
    /// Whether the state is `FAILED` instead of `AWAITING_PAYMENT`.
    pub failed: bool,
}

/// What an insert has committed.
#[derive(Default)]
pub(crate) struct Inserted {
    /// The orders that did not exist before.
    pub orders: Vec<OrderId>,
    /// Their events. `None` without any.
    pub events: Option<CommittedRow>,
}

/// Inserts orders with their history and events.
pub(crate) async fn insert(
    pool: &Pool,
    rows: &[InsertedRow<'_>],
    payment_ttl: Duration,
) -> Result<Inserted, sqlx::Error> {
    let event_ids: Vec<[Uuid; 2]> = rows.iter().map(|_| [Uuid::new_v4(), Uuid::new_v4()]).collect();
    let items = ItemArrays::collect(rows.iter().map(|row| &row.order.lines));
    let query = sqlx::query_as(INSERT)
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
        .bind(payment_ttl)
        .bind(event_ids.iter().map(|[first, _]| *first).collect::<Vec<Uuid>>())
        .bind(event_ids.iter().map(|[_, second]| *second).collect::<Vec<Uuid>>());
    let found: Vec<InsertedId> = observe("insert_orders", query.fetch_all(pool)).await?;
    let by_id: HashMap<i64, (&InsertedRow<'_>, [Uuid; 2])> =
        rows.iter().zip(event_ids).map(|(row, ids)| (row.id.get(), (row, ids))).collect();
    let mut inserted = Inserted::default();
    let mut events = Vec::with_capacity(2 * found.len());
    for InsertedId { id, occurred_at, .. } in &found {
        inserted.orders.push(decoded(*id)?);
        if let Some((row, event_ids)) = by_id.get(id) {
            events.extend(row.events(*event_ids, *occurred_at));
        }
    }
    inserted.events = found.first().map(|row| CommittedRow { id: row.outbox_id, events });
    Ok(inserted)
}

impl InsertedRow<'_> {
    /// The events of creating the order.
    fn events(&self, ids: [Uuid; 2], occurred_at: DateTime<Utc>) -> [OrderEvent; 2] {
        let status = if self.failed { OrderStatus::Failed } else { OrderStatus::AwaitingPayment };
        let event = |sequence, status: OrderStatus, event_id| OrderEvent {
            order: self.id.get(),
            sequence,
            state: status.as_str().to_owned(),
            event_id,
            occurred_at,
            traceparent: self.order.traceparent.clone(),
            user: self.order.user.get(),
            skus: self.order.lines.iter().map(|line| i64::from(line.sku)).collect(),
            counts: self.order.lines.iter().map(|line| i64::from(line.count)).collect(),
        };
        [event(1, OrderStatus::New, ids[0]), event(2, status, ids[1])]
    }
}
