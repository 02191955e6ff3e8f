//! The SQL of the inbox.

use std::collections::HashSet;
use std::time::Duration;

use service_kit::database::{Pool, Transaction};

use uuid::Uuid;

use super::channel::Notification;
use super::effect::Incoming;

/// Inserts the events that are not in the inbox yet, and returns their ids. If another transaction
/// is inserting the same event, the statement waits for its end.
pub(super) async fn receive(
    connection: &mut Transaction,
    batch: &[Incoming],
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let events = || batch.iter().map(|incoming| &incoming.notification.event);
    let event_ids: Vec<Uuid> = events().map(|event| event.event_id).collect();
    let order_ids: Vec<i64> = events().map(|event| event.order_id).collect();
    let sequences: Vec<i32> = events().map(|event| event.sequence.get().cast_signed()).collect();
    let states: Vec<&str> = events().map(|event| event.state.as_str()).collect();
    // All notifiers insert in the same order, so that two of them with the same events cannot
    // deadlock.
    let statement = "INSERT INTO inbox (event_id, order_id, sequence, state) \
         SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::text[]) AS event (id, order_id, sequence, state) \
         ORDER BY id ON CONFLICT DO NOTHING RETURNING event_id";
    let received: Vec<Uuid> = sqlx::query_scalar(statement)
        .bind(event_ids)
        .bind(order_ids)
        .bind(sequences)
        .bind(states)
        .fetch_all(connection)
        .await?;
    Ok(received.into_iter().collect())
}

/// Removes events that were not handled.
pub(super) async fn give_back(
    connection: &mut Transaction,
    event_ids: &[Uuid],
) -> Result<(), sqlx::Error> {
    let statement = "DELETE FROM inbox WHERE event_id = ANY($1)";
    sqlx::query(statement).bind(event_ids).execute(connection).await.map(drop)
}

/// Records what was sent over `channel`.
pub(super) async fn record(
    connection: &mut Transaction,
    channel: &str,
    sent: &[&Notification],
) -> Result<(), sqlx::Error> {
    let event_ids: Vec<Uuid> =
        sent.iter().map(|notification| notification.event.event_id).collect();
    let texts: Vec<&str> = sent.iter().map(|notification| notification.text.as_str()).collect();
    let statement = "INSERT INTO notifications (event_id, channel, text) \
         SELECT id, $1, text FROM unnest($2::uuid[], $3::text[]) AS sent (id, text)";
    sqlx::query(statement)
        .bind(channel)
        .bind(event_ids)
        .bind(texts)
        .execute(connection)
        .await
        .map(drop)
}

/// Deletes up to `limit` events that were received longer than `ttl` ago, and returns how many were
/// deleted.
pub(super) async fn forget(pool: &Pool, ttl: Duration, limit: u32) -> Result<u64, sqlx::Error> {
    let statement = "DELETE FROM inbox WHERE event_id IN ( \
         SELECT event_id FROM inbox WHERE received_at < now() - make_interval(secs => $1) \
         ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
    let query = sqlx::query(statement).bind(ttl.as_secs_f64()).bind(i64::from(limit));
    Ok(query.execute(pool).await?.rows_affected())
}
