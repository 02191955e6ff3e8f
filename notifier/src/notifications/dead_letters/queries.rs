//! Dead letters that wait in the database for their topic.

use std::time::Duration;

use kafka_actors::{Headers, ReceivedRecord};
use service_kit::database::{Pool, observe};

use super::letter::DeadLetter;

/// Stores letters. A letter that is already stored is left unchanged.
pub(super) async fn keep(pool: &Pool, letters: &[DeadLetter]) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO dead_letters \
         (topic, partition, record_offset, key, payload, header_names, header_values, reason) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    for DeadLetter { record, reason } in letters {
        let (names, values): (Vec<&str>, Vec<&[u8]>) = record.headers.iter().unzip();
        let query = sqlx::query(statement)
            .bind(&record.topic)
            .bind(record.partition)
            .bind(record.offset)
            .bind(&record.key)
            .bind(&record.payload)
            .bind(names)
            .bind(values)
            .bind(reason);
        observe("keep_dead_letter", query.execute(pool)).await?;
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Kept {
    topic: String,
    partition: i32,
    record_offset: i64,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    header_names: Vec<String>,
    header_values: Vec<Vec<u8>>,
    reason: String,
}

impl From<Kept> for DeadLetter {
    fn from(kept: Kept) -> Self {
        let Kept { topic, partition, record_offset: offset, key, payload, reason, .. } = kept;
        let headers: Headers = kept.header_names.into_iter().zip(kept.header_values).collect();
        Self { record: ReceivedRecord { topic, partition, offset, key, payload, headers }, reason }
    }
}

/// Claims up to `limit` of the letters that have waited longest. Until `claim` has passed, no other
/// notifier can claim them.
pub(super) async fn claim(
    pool: &Pool,
    limit: u32,
    claim: Duration,
) -> Result<Vec<DeadLetter>, sqlx::Error> {
    let statement = "UPDATE dead_letters SET claimed_until = now() + make_interval(secs => $2) \
         WHERE (topic, partition, record_offset) IN ( \
             SELECT topic, partition, record_offset FROM dead_letters \
             WHERE claimed_until IS NULL OR claimed_until < now() \
             ORDER BY kept_at, topic, partition, record_offset LIMIT $1 FOR UPDATE SKIP LOCKED) \
         RETURNING topic, partition, record_offset, key, payload, header_names, header_values, reason";
    let query = sqlx::query_as(statement).bind(i64::from(limit)).bind(claim.as_secs_f64());
    let mut kept: Vec<Kept> = observe("claim_dead_letters", query.fetch_all(pool)).await?;
    kept.sort_by(|a, b| {
        (&a.topic, a.partition, a.record_offset).cmp(&(&b.topic, b.partition, b.record_offset))
    });
    Ok(kept.into_iter().map(DeadLetter::from).collect())
}

/// Deletes a letter that was published.
pub(super) async fn forget(pool: &Pool, letter: &DeadLetter) -> Result<(), sqlx::Error> {
    let ReceivedRecord { topic, partition, offset, .. } = &letter.record;
    let statement =
        "DELETE FROM dead_letters WHERE topic = $1 AND partition = $2 AND record_offset = $3";
    let query = sqlx::query(statement).bind(topic).bind(partition).bind(offset);
    observe("forget_dead_letter", query.execute(pool)).await.map(drop)
}

/// Releases the claim on a letter that could not be published.
pub(super) async fn release(pool: &Pool, letter: &DeadLetter) -> Result<(), sqlx::Error> {
    let ReceivedRecord { topic, partition, offset, .. } = &letter.record;
    let statement = "UPDATE dead_letters SET claimed_until = NULL \
         WHERE topic = $1 AND partition = $2 AND record_offset = $3";
    let query = sqlx::query(statement).bind(topic).bind(partition).bind(offset);
    observe("release_dead_letter", query.execute(pool)).await.map(drop)
}

/// The number of waiting letters.
pub(super) async fn count(pool: &Pool) -> Result<i64, sqlx::Error> {
    let query = sqlx::query_scalar("SELECT count(*) FROM dead_letters");
    observe("count_dead_letters", query.fetch_one(pool)).await
}
