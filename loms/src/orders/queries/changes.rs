//! Changes the state of orders.

use std::collections::HashMap;

use service_kit::database::{Pool, observe};
use sqlx::FromRow;

use crate::domain::{OrderId, OrderStatus};
use crate::items::{decoded, undecodable};
use crate::stock::EffectKind;

/// Locking the row of an order that awaits its payment is the decision: only one change can win. An
/// order whose payment deadline has passed is cancelled, whatever the requested state.
const CHANGE_STATES: &str = "
WITH input AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
        AS input (id, state, kind, traceparent)
), payable AS MATERIALIZED (
    SELECT id, pay_before < now() AS overdue FROM orders
    WHERE id = ANY($1) AND orders.state = 'AWAITING_PAYMENT' ORDER BY id FOR UPDATE
), changed AS (
    UPDATE orders SET state = CASE WHEN overdue THEN 'CANCELLED' ELSE input.state END,
        sequence = orders.sequence + 1, updated_at = now()
    FROM payable JOIN input USING (id)
    WHERE orders.id = payable.id
    RETURNING orders.id, orders.state, orders.sequence,
        CASE WHEN overdue THEN 'RETURN' ELSE input.kind END AS kind, input.traceparent
), history AS (
    INSERT INTO order_history (order_id, sequence, state, traceparent)
    SELECT id, sequence, state, traceparent FROM changed
), events AS (
    INSERT INTO outbox (order_ids, sequences, events)
    SELECT array_agg(id), array_agg(sequence), count(*) FROM changed HAVING count(*) > 0
), effects AS (
    INSERT INTO stock_effects (order_id, kind) SELECT id, kind FROM changed
)
SELECT id, state FROM changed";

/// A requested state change of one order.
#[derive(Clone, Copy)]
pub(crate) struct Change<'a> {
    pub order: OrderId,
    pub to: OrderStatus,
    pub effect: EffectKind,
    pub traceparent: Option<&'a str>,
}

/// Changes those orders that await their payment, with their history, events and effects. Returns
/// their new states. `changes` must not contain an order twice.
pub(crate) async fn change_states(
    pool: &Pool,
    changes: &[Change<'_>],
) -> Result<States, sqlx::Error> {
    let query = sqlx::query_as(CHANGE_STATES)
        .bind(changes.iter().map(|change| change.order.get()).collect::<Vec<i64>>())
        .bind(changes.iter().map(|change| change.to.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.effect.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.traceparent).collect::<Vec<_>>());
    states(observe("change_states", query.fetch_all(pool)).await?)
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
