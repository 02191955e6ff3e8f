//! All statements about the outbox. They use the connection that holds the shard's lease.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use service_kit::database::{Numbers, observe};
use shared_actors::deadline;
use sqlx::PgConnection;
use tokio::time::Instant;
use uuid::Uuid;

use super::event::OrderEvent;
use super::publication::Refused;
use super::recent::RecentEvents;

/// A connection that does not answer for this long is dead. The server ends the session of a relay
/// that is idle for as long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

async fn within<T>(
    category: &'static str,
    request: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    deadline::scope(Instant::now() + ANSWER_TIMEOUT, observe(category, request)).await
}

/// Advisory locks are per database, and each shard has its own database, so one key serves all
/// shards.
const TAKE_LEASE: &str = "SELECT pg_try_advisory_lock(x'6c6f6d73'::bigint)";

/// Makes this session the publisher of the shard's events, unless another session already is.
pub(super) async fn take_lease(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    within("take_lease", sqlx::query_scalar(TAKE_LEASE).fetch_one(connection)).await
}

/// How many events one read returns, rounded up to whole rows. Same as the limit in [`OLDEST`].
pub(super) const BATCH_EVENTS: usize = 1_000;

/// Selects whole rows of the outbox until they hold 1,000 events: one Kafka transaction costs the
/// same for one event as for hundreds. The limit is a literal, so that the planner knows how few
/// rows are read.
const OLDEST: &str = "
SELECT id, order_ids, sequences, (SELECT EXISTS (SELECT FROM refused_events)) AS some_are_held
FROM (
    SELECT id, order_ids, sequences, sum(events) OVER (ORDER BY id) - events AS events_before
    FROM (SELECT id, order_ids, sequences, events FROM outbox ORDER BY id LIMIT 1000) AS first_rows
) AS oldest
WHERE events_before < 1000
ORDER BY id";

#[derive(sqlx::FromRow)]
struct OldestRow {
    id: i64,
    order_ids: Numbers,
    sequences: Numbers<i32>,
    some_are_held: bool,
}

/// Reads the events of these rows.
const READ: &str = "
WITH waiting AS (
    SELECT outbox.id, event.order_id, event.sequence, event.position
    FROM outbox, unnest(outbox.order_ids, outbox.sequences) WITH ORDINALITY AS event (order_id, sequence, position)
    WHERE outbox.id = ANY ($1)
)
SELECT waiting.id, waiting.order_id, waiting.sequence, history.state, history.event_id, history.occurred_at,
    history.traceparent, orders.user_id, orders.skus, orders.counts,
    EXISTS (SELECT FROM refused_events AS refused WHERE refused.order_id = waiting.order_id) AS held
FROM waiting
LEFT JOIN order_history AS history USING (order_id, sequence)
LEFT JOIN orders ON orders.id = waiting.order_id
ORDER BY waiting.id, waiting.position";

/// One event of a row of the outbox, with its order and its history. The optional columns are
/// `NULL` if those are missing.
#[derive(sqlx::FromRow)]
struct EventRow {
    id: i64,
    order_id: i64,
    sequence: i32,
    state: Option<String>,
    event_id: Option<Uuid>,
    occurred_at: Option<DateTime<Utc>>,
    traceparent: Option<String>,
    user_id: Option<i64>,
    skus: Option<Numbers>,
    counts: Option<Numbers>,
    held: bool,
}

impl EventRow {
    fn event(self) -> Option<OrderEvent> {
        Some(OrderEvent {
            order: self.order_id,
            sequence: self.sequence,
            state: self.state?,
            event_id: self.event_id?,
            occurred_at: self.occurred_at?,
            traceparent: self.traceparent,
            user: self.user_id?,
            skus: self.skus?.get().ok()?.to_vec(),
            counts: self.counts?.get().ok()?.to_vec(),
        })
    }
}

/// Events that wait to be published.
#[derive(Default)]
pub(super) struct Waiting {
    /// The rows of the outbox that contain them.
    pub rows: Vec<i64>,
    pub events: Vec<OrderEvent>,
    /// Order and sequence of events that cannot be published: the order or its history is missing
    /// or cannot be decoded.
    pub unknown: Vec<(i64, i32)>,
    /// Order and sequence of events whose order has an event that Kafka refused.
    pub held: Vec<(i64, i32)>,
}

/// Reads the events that have waited longest, in the order in which they were written. Those that
/// `recent` has are taken from there.
pub(super) async fn read(
    connection: &mut PgConnection,
    recent: &RecentEvents,
) -> Result<Waiting, sqlx::Error> {
    let query = sqlx::query_as(OLDEST);
    let oldest: Vec<OldestRow> = within("oldest_outbox", query.fetch_all(&mut *connection)).await?;
    // A copy can arrive after its row was read, published and deleted.
    recent.forget_before(oldest.first().map_or(i64::MAX, |row| row.id));
    let copy = |row: &OldestRow| {
        let (orders, sequences) = (row.order_ids.get().ok()?, row.sequences.get().ok()?);
        let copy = recent.take(row.id, orders, sequences);
        // Which events are held is only in the database.
        copy.filter(|_| !row.some_are_held)
    };
    let rows: Vec<(i64, Option<Vec<OrderEvent>>)> =
        oldest.iter().map(|row| (row.id, copy(row))).collect();
    let missing: Vec<i64> =
        rows.iter().filter_map(|(id, copy)| copy.is_none().then_some(*id)).collect();
    let mut read: HashMap<i64, Vec<EventRow>> = HashMap::new();
    if !missing.is_empty() {
        let query = sqlx::query_as(READ).bind(missing);
        let events: Vec<EventRow> = within("read_outbox", query.fetch_all(connection)).await?;
        for event in events {
            read.entry(event.id).or_default().push(event);
        }
    }
    let mut waiting = Waiting::default();
    for (id, copy) in rows {
        waiting.rows.push(id);
        if let Some(events) = copy {
            waiting.events.extend(events);
            continue;
        }
        for row in read.remove(&id).unwrap_or_default() {
            let change = (row.order_id, row.sequence);
            if row.held {
                waiting.held.push(change);
                continue;
            }
            match row.event() {
                Some(event) => waiting.events.push(event),
                None => waiting.unknown.push(change),
            }
        }
    }
    Ok(waiting)
}

const SET_ASIDE: &str = "
INSERT INTO unknown_events (order_id, sequence) SELECT * FROM unnest($1::bigint[], $2::int[]) ON CONFLICT DO NOTHING";

/// Records events that cannot be published, for operators to look into. Their rows may be deleted
/// after that.
pub(super) async fn set_aside(
    connection: &mut PgConnection,
    events: &[(i64, i32)],
) -> Result<(), sqlx::Error> {
    let (orders, sequences): (Vec<i64>, Vec<i32>) = events.iter().copied().unzip();
    let query = sqlx::query(SET_ASIDE).bind(orders).bind(sequences);
    within("set_aside_events", query.execute(connection)).await?;
    Ok(())
}

const REFUSE: &str = "
INSERT INTO refused_events (order_id, sequence, reason)
SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[]) ON CONFLICT DO NOTHING";

/// Records events that Kafka refuses. Their rows may be deleted after that.
pub(super) async fn refuse(
    connection: &mut PgConnection,
    refused: &Refused,
) -> Result<(), sqlx::Error> {
    let (orders, sequences): (Vec<i64>, Vec<i32>) = refused.keys().copied().unzip();
    let reasons: Vec<&str> = refused.values().map(String::as_str).collect();
    let query = sqlx::query(REFUSE).bind(orders).bind(sequences).bind(reasons);
    within("refuse_events", query.execute(connection)).await?;
    Ok(())
}

const DELETE: &str = "DELETE FROM outbox WHERE id = ANY($1)";

/// Deletes rows whose events are published or set aside.
pub(super) async fn delete(connection: &mut PgConnection, rows: &[i64]) -> Result<(), sqlx::Error> {
    within("delete_outbox", sqlx::query(DELETE).bind(rows).execute(connection)).await?;
    Ok(())
}

/// At most this many rows are counted. The holder keeps its session alive with this statement, so
/// it must stay fast even with a backlog of days.
const COUNTED_ROWS: i64 = 100_000;

const MEASURE: &str = "
SELECT coalesce(sum(events), 0)::bigint AS events,
    coalesce((
        SELECT extract(epoch FROM now() - history.occurred_at)
        FROM (SELECT order_ids[1] AS order_id, sequences[1] AS sequence FROM outbox ORDER BY id LIMIT 1) AS oldest
        JOIN order_history AS history USING (order_id, sequence)
    ), 0)::float8 AS oldest_age
FROM (SELECT events FROM outbox ORDER BY id LIMIT $1) AS counted";

/// The size of the outbox.
#[derive(sqlx::FromRow)]
pub(super) struct Backlog {
    /// How many events wait, in the first [`COUNTED_ROWS`] rows.
    pub events: i64,
    /// The age of the oldest one in seconds, or 0.
    pub oldest_age: f64,
}

/// Measures the outbox.
pub(super) async fn measure(connection: &mut PgConnection) -> Result<Backlog, sqlx::Error> {
    within("measure_outbox", sqlx::query_as(MEASURE).bind(COUNTED_ROWS).fetch_one(connection)).await
}
