//! Changes the state of orders.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use service_kit::database::{Numbers, Pool, observe};
use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::{OrderId, OrderStatus};
use crate::items::{decoded, undecodable};
use crate::outbox::{CommittedRow, OrderEvent};
use crate::stock::EffectKind;

/// Locking the row of an order that awaits its payment is the decision: only one change can win. An
/// order whose payment deadline has passed is cancelled, whatever the requested state. The lines of
/// large orders are not returned, so that a batch returns about 16,000 lines at most.
const CHANGE_STATES: &str = "
WITH input AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::uuid[])
        AS input (id, state, kind, traceparent, event_id)
), payable AS MATERIALIZED (
    SELECT id, pay_before < now() AS overdue FROM orders
    WHERE id = ANY($1) AND orders.state = 'AWAITING_PAYMENT' ORDER BY id FOR UPDATE
), changed AS (
    UPDATE orders SET state = CASE WHEN overdue THEN 'CANCELLED' ELSE input.state END,
        sequence = orders.sequence + 1, updated_at = now()
    FROM payable JOIN input USING (id)
    WHERE orders.id = payable.id
    RETURNING orders.id, orders.state, orders.sequence, orders.user_id,
        CASE WHEN cardinality(orders.skus) <= 64 THEN orders.skus END AS skus, orders.counts,
        CASE WHEN overdue THEN 'RETURN' ELSE input.kind END AS kind, input.traceparent, input.event_id
), history AS (
    INSERT INTO order_history (order_id, sequence, state, event_id, traceparent)
    SELECT id, sequence, state, event_id, traceparent FROM changed
), events AS (
    INSERT INTO outbox (order_ids, sequences, events)
    SELECT array_agg(id ORDER BY id), array_agg(sequence ORDER BY id), count(*) FROM changed HAVING count(*) > 0
    RETURNING id
), effects AS (
    INSERT INTO stock_effects (order_id, kind) SELECT id, kind FROM changed
)
SELECT id, state, sequence, user_id, skus, CASE WHEN skus IS NOT NULL THEN counts END AS counts, traceparent, event_id, now() AS occurred_at,
    (SELECT id FROM events) AS outbox_id
FROM changed
ORDER BY id";

#[derive(FromRow)]
struct ChangedRow {
    id: i64,
    state: String,
    sequence: i32,
    user_id: i64,
    skus: Option<Numbers>,
    counts: Option<Numbers>,
    traceparent: Option<String>,
    event_id: Uuid,
    occurred_at: DateTime<Utc>,
    outbox_id: i64,
}

impl ChangedRow {
    /// The event of the change. `None` without its lines, or if they were edited by hand and cannot
    /// be decoded.
    fn event(self) -> Option<OrderEvent> {
        Some(OrderEvent {
            order: self.id,
            sequence: self.sequence,
            state: self.state,
            event_id: self.event_id,
            occurred_at: self.occurred_at,
            traceparent: self.traceparent,
            user: self.user_id,
            skus: self.skus?.get().ok()?.to_vec(),
            counts: self.counts?.get().ok()?.to_vec(),
        })
    }
}

/// What a statement has changed.
#[derive(Default)]
pub(crate) struct Changed {
    /// The new states of the orders.
    pub states: States,
    /// Their events. `None` without any.
    pub events: Option<CommittedRow>,
}

/// A requested state change of one order.
#[derive(Clone, Copy)]
pub(crate) struct Change<'a> {
    pub order: OrderId,
    pub to: OrderStatus,
    pub effect: EffectKind,
    pub traceparent: Option<&'a str>,
}

/// Changes those orders that await their payment, with their history, events and effects. `changes`
/// must not contain an order twice.
pub(crate) async fn change_states(
    pool: &Pool,
    changes: &[Change<'_>],
) -> Result<Changed, sqlx::Error> {
    let query = sqlx::query_as(CHANGE_STATES)
        .bind(changes.iter().map(|change| change.order.get()).collect::<Vec<i64>>())
        .bind(changes.iter().map(|change| change.to.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.effect.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.traceparent).collect::<Vec<_>>())
        .bind(changes.iter().map(|_| Uuid::new_v4()).collect::<Vec<Uuid>>());
    let rows: Vec<ChangedRow> = observe("change_states", query.fetch_all(pool)).await?;
    let mut made = Changed::default();
    for row in &rows {
        let state = row.state.parse().map_err(undecodable)?;
        made.states.insert(decoded(row.id)?, state);
    }
    let outbox_id = rows.first().map(|row| row.outbox_id);
    // Without all events there is no copy, and the relay reads the row.
    let events: Option<Vec<OrderEvent>> = rows.into_iter().map(ChangedRow::event).collect();
    made.events = outbox_id.zip(events).map(|(id, events)| CommittedRow { id, events });
    Ok(made)
}

/// Orders and their states.
pub(crate) type States = HashMap<OrderId, OrderStatus>;

#[derive(FromRow)]
struct StateRow {
    id: i64,
    state: String,
}

const STATES_OF: &str = "SELECT id, state FROM orders WHERE id = ANY($1)";

/// The states of those of the orders that exist.
pub(crate) async fn states_of(pool: &Pool, orders: &[i64]) -> Result<States, sqlx::Error> {
    states(observe("order_states", sqlx::query_as(STATES_OF).bind(orders).fetch_all(pool)).await?)
}

fn states(rows: Vec<StateRow>) -> Result<States, sqlx::Error> {
    let state = |row: StateRow| Ok((decoded(row.id)?, row.state.parse().map_err(undecodable)?));
    rows.into_iter().map(state).collect()
}
