//! Every statement about the outbox. All go over the connection that holds the shard's lease.

use chrono::{DateTime, Utc};
use shared_actors::database::observe;
use sqlx::PgConnection;
use uuid::Uuid;

use super::event::OrderEvent;

/// Locks are a database's own, and a shard is a database: one key serves all shards.
const TAKE_LEASE: &str = "SELECT pg_try_advisory_lock(x'6c6f6d73'::bigint)";

/// Makes this session the one that publishes the shard's events, unless another one is.
pub(super) async fn take_lease(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    observe("take_lease", sqlx::query_scalar(TAKE_LEASE).fetch_one(connection)).await
}

/// The limit stands in the text so that the planner knows how little is read.
const READ: &str = "
SELECT waiting.id, waiting.order_id, waiting.sequence, history.state, history.event_id, history.occurred_at,
    history.traceparent, orders.user_id, orders.skus, orders.counts
FROM (SELECT id, order_id, sequence FROM outbox ORDER BY id LIMIT 500) AS waiting
JOIN order_history AS history USING (order_id, sequence)
JOIN orders ON orders.id = waiting.order_id
ORDER BY waiting.id";

type EventRow = (i64, i64, i32, String, Uuid, DateTime<Utc>, Option<String>, i64, Vec<i64>, Vec<i64>);

/// The events that wait longest, in the order in which they were written, with the ids of their rows.
pub(super) async fn read(connection: &mut PgConnection) -> Result<(Vec<i64>, Vec<OrderEvent>), sqlx::Error> {
    let rows: Vec<EventRow> = observe("read_outbox", sqlx::query_as(READ).fetch_all(connection)).await?;
    Ok(rows
        .into_iter()
        .map(|(id, order, sequence, state, event_id, occurred_at, traceparent, user, skus, counts)| {
            let event =
                OrderEvent { order, sequence, state, event_id, occurred_at, traceparent, user, skus, counts };
            (id, event)
        })
        .unzip())
}

const DELETE: &str = "DELETE FROM outbox WHERE id = ANY($1)";

/// Forgets events that are published.
pub(super) async fn delete(connection: &mut PgConnection, ids: &[i64]) -> Result<(), sqlx::Error> {
    observe("delete_outbox", sqlx::query(DELETE).bind(ids).execute(connection)).await?;
    Ok(())
}

/// Events leave in the order of their ids, so that the span of ids tells how many there are without counting.
const WAITING: &str = "
SELECT coalesce(max(id) - min(id) + 1, 0)::bigint,
    coalesce((
        SELECT extract(epoch FROM now() - history.occurred_at)
        FROM (SELECT order_id, sequence FROM outbox ORDER BY id LIMIT 1) AS oldest
        JOIN order_history AS history USING (order_id, sequence)
    ), 0)::float8
FROM outbox";

/// About how many events wait, and for how many seconds the oldest one does.
pub(super) async fn waiting(connection: &mut PgConnection) -> Result<(i64, f64), sqlx::Error> {
    observe("measure_outbox", sqlx::query_as(WAITING).fetch_one(connection)).await
}
