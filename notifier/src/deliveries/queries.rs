//! The SQL of deliveries.

use std::time::Duration;

use chrono::{DateTime, Utc};
use kafka_actors::{Headers, ReceivedRecord};
use service_kit::database::{Pool, observe};
use shared_actors::fits;
use uuid::Uuid;

use super::delivery::{Delivery, DeliveryId};

#[derive(sqlx::FromRow)]
struct ClaimedRow {
    order_id: i64,
    sequence: i32,
    event_id: Uuid,
    order_state: String,
    occurred_at: DateTime<Utc>,
    attempts: i32,
    refusals: i32,
    age_seconds: f64,
    topic: String,
    partition: i32,
    record_offset: i64,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    header_names: Vec<String>,
    header_values: Vec<Vec<u8>>,
}

impl From<ClaimedRow> for Delivery {
    fn from(row: ClaimedRow) -> Self {
        let ClaimedRow { topic, partition, record_offset: offset, key, payload, .. } = row;
        let headers: Headers = row.header_names.into_iter().zip(row.header_values).collect();
        Self {
            id: DeliveryId {
                order_id: row.order_id,
                sequence: row.sequence,
                event_id: row.event_id,
            },
            order_state: row.order_state,
            occurred_at: row.occurred_at,
            attempts: fits(row.attempts),
            refusals: fits(row.refusals),
            age: Duration::from_secs_f64(row.age_seconds.max(0.0)),
            record: ReceivedRecord { topic, partition, offset, key, payload, headers },
        }
    }
}

/// Claims up to `limit` deliveries of `channel` that are due, the longest due first. Of each order
/// only the first pending delivery can be claimed. If the delivery is still pending after `claim`,
/// any notifier can claim it again.
pub(super) async fn claim(
    pool: &Pool,
    channel: &str,
    limit: usize,
    claim: Duration,
) -> Result<Vec<Delivery>, sqlx::Error> {
    let statement = "WITH due AS ( \
             SELECT channel, order_id, sequence, event_id FROM deliveries AS delivery \
             WHERE channel = $1 AND status = 'pending' AND due_at <= now() AND NOT EXISTS ( \
                 SELECT FROM deliveries AS earlier \
                 WHERE earlier.channel = $1 AND earlier.order_id = delivery.order_id \
                     AND (earlier.sequence, earlier.event_id) < (delivery.sequence, delivery.event_id) \
                     AND earlier.status = 'pending') \
             ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
         UPDATE deliveries AS delivery \
         SET due_at = now() + make_interval(secs => $3), attempts = delivery.attempts + 1 \
         FROM due WHERE delivery.channel = due.channel AND delivery.order_id = due.order_id \
             AND delivery.sequence = due.sequence AND delivery.event_id = due.event_id \
         RETURNING delivery.order_id, delivery.sequence, delivery.event_id, delivery.order_state, \
             delivery.occurred_at, delivery.attempts, delivery.refusals, \
             extract(epoch FROM now() - delivery.received_at)::float8 AS age_seconds, \
             delivery.topic, delivery.partition, delivery.record_offset, delivery.key, \
             delivery.payload, delivery.header_names, delivery.header_values";
    let query = sqlx::query_as(statement)
        .bind(channel)
        .bind(fits::<usize, i64>(limit))
        .bind(claim.as_secs_f64());
    let rows: Vec<ClaimedRow> = observe("claim_deliveries", query.fetch_all(pool)).await?;
    Ok(rows.into_iter().map(Delivery::from).collect())
}

/// The columns of the ids, for `unnest`.
fn columns<'a>(ids: impl Iterator<Item = &'a DeliveryId>) -> (Vec<i64>, Vec<i32>, Vec<Uuid>) {
    let (mut orders, mut sequences, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for DeliveryId { order_id, sequence, event_id } in ids {
        orders.push(*order_id);
        sequences.push(*sequence);
        events.push(*event_id);
    }
    (orders, sequences, events)
}

/// Records that these deliveries were sent.
pub(super) async fn sent(
    pool: &Pool,
    channel: &str,
    ids: &[DeliveryId],
) -> Result<(), sqlx::Error> {
    let statement = "UPDATE deliveries AS delivery \
         SET status = 'sent', ended_at = now(), key = NULL, payload = NULL, header_names = '{}', header_values = '{}' \
         FROM unnest($2::bigint[], $3::integer[], $4::uuid[]) AS sent (order_id, sequence, event_id) \
         WHERE delivery.channel = $1 AND delivery.order_id = sent.order_id \
             AND delivery.sequence = sent.sequence AND delivery.event_id = sent.event_id \
             AND delivery.status = 'pending'";
    let (orders, sequences, events) = columns(ids.iter());
    let query = sqlx::query(statement).bind(channel).bind(orders).bind(sequences).bind(events);
    observe("record_sent", query.execute(pool)).await.map(drop)
}

/// One attempt that failed, and after how long to try again.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub id: DeliveryId,
    pub attempts: u32,
    /// How many attempts the channel has refused so far, including this one if it has.
    pub refusals: u32,
    pub after: Duration,
    pub reason: String,
}

/// Puts deliveries back. Later deliveries of the same orders wait as long, because they cannot be
/// claimed before. A delivery that another notifier has claimed in the meantime is left unchanged.
pub(super) async fn retry_later(
    pool: &Pool,
    channel: &str,
    failed: &[Failed],
) -> Result<(), sqlx::Error> {
    let statement = "WITH failed AS ( \
             SELECT * FROM unnest($2::bigint[], $3::integer[], $4::uuid[], $5::integer[], $6::integer[], \
                 $7::float8[], $8::text[]) \
                 AS failed (order_id, sequence, event_id, attempts, refusals, seconds, reason)), \
         own AS ( \
             UPDATE deliveries AS delivery \
             SET due_at = now() + make_interval(secs => failed.seconds), refusals = failed.refusals, \
                 last_error = failed.reason \
             FROM failed WHERE delivery.channel = $1 AND delivery.order_id = failed.order_id \
                 AND delivery.sequence = failed.sequence AND delivery.event_id = failed.event_id \
                 AND delivery.attempts = failed.attempts AND delivery.status = 'pending' \
             RETURNING delivery.order_id, delivery.sequence, delivery.event_id, delivery.due_at) \
         UPDATE deliveries AS delivery SET due_at = greatest(delivery.due_at, own.due_at) \
         FROM own WHERE delivery.channel = $1 AND delivery.order_id = own.order_id \
             AND (delivery.sequence, delivery.event_id) > (own.sequence, own.event_id) \
             AND delivery.status = 'pending'";
    let (orders, sequences, events) = columns(failed.iter().map(|failed| &failed.id));
    let query = sqlx::query(statement)
        .bind(channel)
        .bind(orders)
        .bind(sequences)
        .bind(events)
        .bind(failed.iter().map(|failed| fits(failed.attempts)).collect::<Vec<i32>>())
        .bind(failed.iter().map(|failed| fits(failed.refusals)).collect::<Vec<i32>>())
        .bind(failed.iter().map(|failed| failed.after.as_secs_f64()).collect::<Vec<f64>>())
        .bind(failed.iter().map(|failed| failed.reason.as_str()).collect::<Vec<_>>());
    observe("retry_deliveries", query.execute(pool)).await.map(drop)
}

/// The end of a statement that turns the deliveries of `dead`, which are locked, into letters. A
/// letter takes the contents of the record along. An event that was replayed and fails again opens
/// its letter again.
macro_rules! burying {
    ($dead:literal) => {
        concat!(
            "WITH dead AS MATERIALIZED (",
            $dead,
            "), ended AS ( \
                 UPDATE deliveries AS delivery \
                 SET status = 'dead', ended_at = now(), key = NULL, payload = NULL, header_names = '{}', header_values = '{}' \
                 FROM dead WHERE delivery.channel = $1 AND delivery.order_id = dead.order_id \
                     AND delivery.sequence = dead.sequence AND delivery.event_id = dead.event_id) \
             INSERT INTO letters (topic, partition, record_offset, channel, order_id, key, payload, \
                 header_names, header_values, reason, attempts) \
             SELECT topic, partition, record_offset, channel, order_id, key, payload, \
                 header_names, header_values, reason, attempts FROM dead \
             ON CONFLICT (topic, partition, record_offset, channel, md5(coalesce(payload, ''))) DO UPDATE \
             SET reason = excluded.reason, attempts = excluded.attempts, created_at = now(), \
                 published_at = NULL, claimed_until = NULL, resolved_at = NULL, resolution = NULL"
        )
    };
}

/// Turns up to `limit` deliveries that are due and older than `age` into dead letters, without an
/// attempt. Returns how many there were. The reason is `reason` and that of the last attempt.
pub(super) async fn expire(
    pool: &Pool,
    channel: &str,
    age: Duration,
    reason: &str,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let statement = burying!(
        "SELECT *, $3 || coalesce(last_error, 'the channel was unavailable') AS reason \
         FROM deliveries WHERE channel = $1 AND status = 'pending' AND due_at <= now() \
             AND received_at < now() - make_interval(secs => $2) \
         ORDER BY received_at LIMIT $4 FOR UPDATE SKIP LOCKED"
    );
    let query = sqlx::query(statement)
        .bind(channel)
        .bind(age.as_secs_f64())
        .bind(reason)
        .bind(i64::from(limit));
    Ok(observe("expire_deliveries", query.execute(pool)).await?.rows_affected())
}

/// A delivery that is given up.
#[derive(Clone, Debug)]
pub(super) struct Dead {
    pub id: DeliveryId,
    pub attempts: u32,
    pub reason: String,
}

/// Turns deliveries into dead letters. A delivery that another notifier has claimed in the meantime
/// is left unchanged.
pub(super) async fn bury(pool: &Pool, channel: &str, dead: &[Dead]) -> Result<(), sqlx::Error> {
    let statement = burying!(
        "SELECT delivery.*, buried.reason \
         FROM unnest($2::bigint[], $3::integer[], $4::uuid[], $5::integer[], $6::text[]) \
             AS buried (order_id, sequence, event_id, attempts, reason) \
         JOIN deliveries AS delivery ON delivery.channel = $1 \
             AND delivery.order_id = buried.order_id AND delivery.sequence = buried.sequence \
             AND delivery.event_id = buried.event_id AND delivery.attempts = buried.attempts \
             AND delivery.status = 'pending' \
         ORDER BY delivery.order_id, delivery.sequence FOR UPDATE OF delivery"
    );
    let (orders, sequences, events) = columns(dead.iter().map(|dead| &dead.id));
    let attempts: Vec<i32> = dead.iter().map(|dead| fits(dead.attempts)).collect();
    let reasons: Vec<&str> = dead.iter().map(|dead| dead.reason.as_str()).collect();
    let query = sqlx::query(statement)
        .bind(channel)
        .bind(orders)
        .bind(sequences)
        .bind(events)
        .bind(attempts)
        .bind(reasons);
    observe("bury_deliveries", query.execute(pool)).await.map(drop)
}

/// The pending deliveries of one channel.
#[derive(Debug, PartialEq, sqlx::FromRow)]
pub(super) struct Backlog {
    pub channel: String,
    /// Counts no further than [`COUNTED`].
    pub pending: i64,
    /// How long ago the oldest one was received.
    pub oldest_seconds: f64,
}

/// More pending deliveries are not counted: that would read all of them.
const COUNTED: i64 = 10_000;

/// The backlog of every channel that has one, enabled or not.
pub(super) async fn backlog(pool: &Pool) -> Result<Vec<Backlog>, sqlx::Error> {
    // Finds each channel by one look-up in the index, instead of reading all deliveries.
    let statement = "WITH RECURSIVE known AS ( \
             (SELECT channel FROM deliveries WHERE status = 'pending' ORDER BY channel LIMIT 1) \
             UNION ALL \
             SELECT (SELECT channel FROM deliveries WHERE status = 'pending' AND channel > known.channel \
                 ORDER BY channel LIMIT 1) FROM known WHERE known.channel IS NOT NULL) \
         SELECT channel, \
             (SELECT count(*) FROM (SELECT FROM deliveries \
                 WHERE deliveries.channel = known.channel AND status = 'pending' LIMIT $1) AS counted) AS pending, \
             coalesce((SELECT extract(epoch FROM now() - received_at)::float8 FROM deliveries \
                 WHERE deliveries.channel = known.channel AND status = 'pending' \
                 ORDER BY received_at LIMIT 1), 0) AS oldest_seconds \
         FROM known WHERE channel IS NOT NULL";
    let query = sqlx::query_as(statement).bind(COUNTED);
    observe("measure_backlog", query.fetch_all(pool)).await
}
