//! Changing the state of orders.

use shared_actors::database::{Pool, observe};

use crate::domain::{OrderId, OrderStatus};
use crate::stock::EffectKind;

/// The row of the order is locked and found to await its payment: that is the decision, and it has one winner.
const CHANGE_STATES: &str = "
WITH input AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
        AS input (id, state, kind, traceparent)
), payable AS MATERIALIZED (
    SELECT id FROM orders WHERE id = ANY($1) AND orders.state = 'AWAITING_PAYMENT' ORDER BY id FOR UPDATE
), changed AS (
    UPDATE orders SET state = input.state, sequence = orders.sequence + 1, updated_at = now()
    FROM payable JOIN input USING (id)
    WHERE orders.id = payable.id
    RETURNING orders.id, orders.state, orders.sequence, input.kind, input.traceparent
), history AS (
    INSERT INTO order_history (order_id, sequence, state, traceparent)
    SELECT id, sequence, state, traceparent FROM changed
), events AS (
    INSERT INTO outbox (order_ids, sequences, events)
    SELECT array_agg(id), array_agg(sequence), count(*) FROM changed HAVING count(*) > 0
), effects AS (
    INSERT INTO stock_effects (order_id, kind) SELECT id, kind FROM changed
)
SELECT id FROM changed";

/// One order that is to go to another state.
pub(crate) struct Change<'a> {
    pub order: OrderId,
    pub to: OrderStatus,
    pub effect: EffectKind,
    pub traceparent: Option<&'a str>,
}

/// Changes those orders that await their payment, with their history, events and effects; answers which. No order may
/// come twice.
pub(crate) async fn change_states(pool: &Pool, changes: &[Change<'_>]) -> Result<Vec<i64>, sqlx::Error> {
    let query = sqlx::query_scalar(CHANGE_STATES)
        .bind(changes.iter().map(|change| change.order.get()).collect::<Vec<i64>>())
        .bind(changes.iter().map(|change| change.to.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.effect.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.traceparent).collect::<Vec<_>>());
    observe("change_states", query.fetch_all(pool)).await
}
