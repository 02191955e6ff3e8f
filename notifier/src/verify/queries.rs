//! The SQL of `notifier verify`. Rows that have to be compared are read in pages, in ascending order.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

/// How many rows are in memory at a time.
const PAGE: i64 = 1000;

/// Which shard of loms a database is.
#[derive(Debug, FromRow)]
pub(super) struct Place {
    pub shard: i32,
    /// How many shards loms has at least.
    pub known: i32,
}

/// The place of a database of loms. `None` if it was never prepared.
pub(super) async fn place(connection: &mut PgConnection) -> Result<Option<Place>, sqlx::Error> {
    let query = "SELECT shard, (SELECT coalesce(max(shards), 0) FROM shard_layouts) AS known FROM shard_identity";
    sqlx::query_as(query).fetch_optional(connection).await
}

/// Fixes the snapshot: it sees everything that is committed now.
pub(super) async fn fix(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT count(*) FROM deliveries WHERE false").execute(connection).await.map(drop)
}

/// A change of an order, as recorded in the history of loms or in a delivery.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(super) struct Change {
    pub order_id: i64,
    pub sequence: i32,
    pub event_id: Uuid,
    pub state: String,
    pub occurred_at: DateTime<Utc>,
}

const PUBLISHED: &str = "
SELECT order_id, sequence, event_id, state, occurred_at FROM order_history AS change
WHERE (order_id, sequence) > ($1, $2) AND occurred_at > now() - $3
    AND NOT EXISTS (SELECT FROM outbox CROSS JOIN LATERAL unnest(order_ids, sequences) AS waiting (order_id, sequence)
        WHERE waiting.order_id = change.order_id AND waiting.sequence = change.sequence)
    AND NOT EXISTS (SELECT FROM refused_events AS refused
        WHERE refused.order_id = change.order_id AND refused.sequence = change.sequence)
    AND NOT EXISTS (SELECT FROM unknown_events AS unknown
        WHERE unknown.order_id = change.order_id AND unknown.sequence = change.sequence)
ORDER BY order_id, sequence LIMIT $4";

/// The changes after `last` (order and number) that are younger than `ttl` and published.
pub(super) async fn published(
    connection: &mut PgConnection,
    last: (i64, i32),
    ttl: Duration,
) -> Result<Vec<Change>, sqlx::Error> {
    let query = sqlx::query_as(PUBLISHED).bind(last.0).bind(last.1).bind(ttl).bind(PAGE);
    query.fetch_all(connection).await
}

/// The changes of these orders.
pub(super) async fn changes(
    connection: &mut PgConnection,
    orders: &[i64],
) -> Result<Vec<Change>, sqlx::Error> {
    let query = "SELECT order_id, sequence, event_id, state, occurred_at FROM order_history WHERE order_id = ANY ($1)";
    sqlx::query_as(query).bind(orders).fetch_all(connection).await
}

#[derive(FromRow)]
struct IdRow {
    header_names: Vec<String>,
    header_values: Vec<Vec<u8>>,
}

/// The events of these orders that were received, by this version or the previous one, or are dead
/// letters. A letter of a record that is not an event has the id in the header `ce_id`.
pub(super) async fn seen(
    connection: &mut PgConnection,
    orders: &[i64],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let received = "SELECT unnest(event_ids) FROM received_orders WHERE order_id = ANY ($1)
        UNION SELECT event_id FROM inbox WHERE order_id = ANY ($1)";
    let received: Vec<Uuid> =
        sqlx::query_scalar(received).bind(orders).fetch_all(&mut *connection).await?;
    let letters = "SELECT header_names, header_values FROM letters WHERE channel = '' AND order_id = ANY ($1)";
    let letters: Vec<IdRow> = sqlx::query_as(letters).bind(orders).fetch_all(connection).await?;
    let id_of = |letter: IdRow| {
        let headers = letter.header_names.into_iter().zip(letter.header_values);
        let headers: kafka_actors::Headers = headers.collect();
        headers.text("ce_id").and_then(|id| id.parse().ok())
    };
    Ok(received.into_iter().chain(letters.into_iter().filter_map(id_of)).collect())
}

/// An order with its received events, and the channels of each.
#[derive(Debug, FromRow)]
pub(super) struct ReceivedOrder {
    pub order_id: i64,
    pub event_ids: Vec<Uuid>,
    /// Separated by commas. A channel with [`crate::inbox::SENT_AT_ONCE`] has no delivery.
    pub channels: Vec<String>,
    /// Whether none of its deliveries can be forgotten yet.
    pub young: bool,
}

/// Orders with received events, after `last`.
pub(super) async fn received_orders(
    connection: &mut PgConnection,
    last: i64,
    checked: Duration,
) -> Result<Vec<ReceivedOrder>, sqlx::Error> {
    let query = "SELECT order_id, event_ids, channels, first_received_at > now() - $3 AS young
        FROM received_orders WHERE order_id > $1 ORDER BY order_id LIMIT $2";
    sqlx::query_as(query).bind(last).bind(PAGE).bind(checked).fetch_all(connection).await
}

/// A delivery, with what it says about its event.
#[derive(Debug, FromRow)]
pub(super) struct DeliveryRow {
    pub channel: String,
    #[sqlx(flatten)]
    pub change: Change,
}

/// The names of all channels that have deliveries. Finds each by one look-up in the index.
pub(super) async fn channels(connection: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let query = "WITH RECURSIVE known AS (
            (SELECT channel FROM deliveries ORDER BY channel LIMIT 1)
            UNION ALL
            SELECT (SELECT channel FROM deliveries WHERE channel > known.channel ORDER BY channel LIMIT 1)
            FROM known WHERE known.channel IS NOT NULL)
        SELECT channel FROM known WHERE channel IS NOT NULL";
    sqlx::query_scalar(query).fetch_all(connection).await
}

/// The deliveries of these orders over `channels`, which are all channels: the index begins with them.
pub(super) async fn deliveries(
    connection: &mut PgConnection,
    channels: &[String],
    orders: &[i64],
) -> Result<Vec<DeliveryRow>, sqlx::Error> {
    let query = "SELECT channel, order_id, sequence, event_id, order_state AS state, occurred_at FROM deliveries
        WHERE channel = ANY ($1) AND order_id = ANY ($2)";
    sqlx::query_as(query).bind(channels).bind(orders).fetch_all(connection).await
}

pub(super) const DELIVERIES: &str = "FROM deliveries";
pub(super) const PENDING: &str = "FROM deliveries WHERE status = 'pending'";
pub(super) const DEAD: &str = "FROM deliveries WHERE status = 'dead'";
pub(super) const LETTERS: &str = "FROM letters WHERE channel <> ''";

/// Replaces {young} in a statement by a condition about a time of the row.
pub(super) fn younger_than(checked: Duration, statement: &str) -> String {
    let young = format!("> now() - make_interval(secs => {})", checked.as_secs_f64());
    statement.replace("{young}", &young)
}

/// A delivery may be replayed when its order is forgotten.
pub(super) const DELIVERIES_WITHOUT_EVENT: &str = "
SELECT delivery.order_id AS id FROM deliveries AS delivery
WHERE NOT delivery.replayed AND delivery.received_at {young}
    AND NOT EXISTS (SELECT FROM received_orders AS received
        WHERE received.order_id = delivery.order_id AND delivery.event_id = ANY (received.event_ids))";

pub(super) const DELIVERIES_TWICE: &str = "
SELECT order_id AS id FROM deliveries GROUP BY channel, order_id, sequence HAVING count(*) > 1";

/// A later event was sent although an earlier one was still pending, or before it was sent.
pub(super) const DELIVERIES_OUT_OF_ORDER: &str = "
SELECT later.order_id AS id FROM deliveries AS later
WHERE later.status = 'sent' AND NOT later.replayed AND EXISTS (
    SELECT FROM deliveries AS earlier
    WHERE earlier.channel = later.channel AND earlier.order_id = later.order_id
        AND earlier.sequence < later.sequence AND NOT earlier.replayed
        AND earlier.received_at <= later.received_at
        AND (earlier.status = 'pending' OR earlier.ended_at > later.ended_at))";

pub(super) const DELIVERIES_WITH_WRONG_RECORD: &str = "
SELECT order_id AS id FROM deliveries WHERE (status = 'pending') <> (payload IS NOT NULL)";

pub(super) const PENDING_NOT_DUE: &str = "
SELECT order_id AS id FROM deliveries WHERE status = 'pending' AND due_at > now() + interval '2 hours'";

pub(super) const DEAD_WITHOUT_LETTER: &str = "
SELECT delivery.order_id AS id FROM deliveries AS delivery
WHERE delivery.status = 'dead' AND delivery.ended_at {young} AND NOT EXISTS (SELECT FROM letters AS letter
    WHERE letter.channel = delivery.channel AND letter.topic = delivery.topic
        AND letter.partition = delivery.partition AND letter.record_offset = delivery.record_offset)";

pub(super) const LETTERS_WITHOUT_DEAD_DELIVERY: &str = "
SELECT letter.id FROM letters AS letter
WHERE letter.channel <> '' AND letter.resolution IS DISTINCT FROM 'replayed' AND letter.created_at {young}
    AND NOT EXISTS (SELECT FROM deliveries AS delivery
        WHERE delivery.channel = letter.channel AND delivery.topic = letter.topic
            AND delivery.partition = letter.partition AND delivery.record_offset = letter.record_offset
            AND delivery.status = 'dead')";
