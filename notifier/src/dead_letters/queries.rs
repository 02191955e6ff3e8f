//! The SQL of dead letters.

use std::time::Duration;

use kafka_actors::{Headers, ReceivedRecord};
use service_kit::database::{Pool, observe};

use super::letter::DeadLetter;

/// Stores letters, all or none, and returns those that are new. A letter that is already stored is
/// left unchanged.
pub(super) async fn keep<'a>(
    pool: &Pool,
    letters: &'a [DeadLetter],
) -> Result<Vec<&'a DeadLetter>, sqlx::Error> {
    let statement = "INSERT INTO letters (topic, partition, record_offset, channel, order_id, \
             key, payload, header_names, header_values, reason, attempts) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
    let mut new = Vec::new();
    let mut transaction = pool.begin().await?;
    for letter in letters {
        let DeadLetter { record, channel, order_id, reason, attempts } = letter;
        let (names, values): (Vec<&str>, Vec<&[u8]>) = record.headers.iter().unzip();
        let query = sqlx::query(statement)
            .bind(&record.topic)
            .bind(record.partition)
            .bind(record.offset)
            .bind(channel)
            .bind(order_id)
            .bind(&record.key)
            .bind(&record.payload)
            .bind(names)
            .bind(values)
            .bind(reason)
            .bind(attempts);
        let stored = observe("keep_dead_letter", query.execute(&mut transaction)).await?;
        if stored.rows_affected() > 0 {
            new.push(letter);
        }
    }
    observe("commit", transaction.commit()).await?;
    Ok(new)
}

/// Takes over letters from the table of the previous version. Only letters older than 10 minutes: a
/// running instance of that version normally publishes its own sooner.
pub(super) async fn adopt(pool: &Pool) -> Result<(), sqlx::Error> {
    let statement = "WITH old AS MATERIALIZED ( \
             SELECT topic, partition, record_offset FROM dead_letters \
             WHERE kept_at < now() - interval '10 minutes' \
                 AND (claimed_until IS NULL OR claimed_until < now()) \
             ORDER BY kept_at LIMIT 100 FOR UPDATE SKIP LOCKED), \
         left_behind AS ( \
             DELETE FROM dead_letters AS letter USING old \
             WHERE letter.topic = old.topic AND letter.partition = old.partition \
                 AND letter.record_offset = old.record_offset \
             RETURNING letter.*) \
         INSERT INTO letters (topic, partition, record_offset, key, payload, \
             header_names, header_values, reason, attempts, created_at) \
         SELECT topic, partition, record_offset, key, payload, header_names, header_values, reason, 1, kept_at \
         FROM left_behind ON CONFLICT DO NOTHING";
    observe("adopt_dead_letters", sqlx::query(statement).execute(pool)).await.map(drop)
}

/// How many letters there are, up to 10,000.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Counts {
    /// Not published yet.
    pub waiting: i64,
    /// Neither replayed nor dropped.
    pub unresolved: i64,
}

/// Counts the letters.
pub(super) async fn count(pool: &Pool) -> Result<Counts, sqlx::Error> {
    let statement = "SELECT \
             (SELECT count(*) FROM (SELECT FROM letters WHERE published_at IS NULL LIMIT 10000) AS some) AS waiting, \
             (SELECT count(*) FROM (SELECT FROM letters WHERE resolved_at IS NULL LIMIT 10000) AS some) AS unresolved";
    observe("count_dead_letters", sqlx::query_as(statement).fetch_one(pool)).await
}

/// A letter that this process is publishing.
#[derive(Debug)]
pub(super) struct Claimed {
    pub id: i64,
    pub letter: DeadLetter,
}

#[derive(sqlx::FromRow)]
struct LetterRow {
    id: i64,
    topic: String,
    partition: i32,
    record_offset: i64,
    channel: String,
    order_id: Option<i64>,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    header_names: Vec<String>,
    header_values: Vec<Vec<u8>>,
    reason: String,
    attempts: i32,
}

impl From<LetterRow> for Claimed {
    fn from(row: LetterRow) -> Self {
        let LetterRow { topic, partition, record_offset: offset, key, payload, .. } = row;
        let headers: Headers = row.header_names.into_iter().zip(row.header_values).collect();
        let record = ReceivedRecord { topic, partition, offset, key, payload, headers };
        let LetterRow { channel, order_id, reason, attempts, .. } = row;
        Self { id: row.id, letter: DeadLetter { record, channel, order_id, reason, attempts } }
    }
}

/// Claims up to `limit` of the unpublished letters that have waited longest. Until `claim` has
/// passed, no other notifier can claim them.
pub(super) async fn claim(
    pool: &Pool,
    limit: u32,
    claim: Duration,
) -> Result<Vec<Claimed>, sqlx::Error> {
    let statement = "WITH waiting AS MATERIALIZED ( \
             SELECT id FROM letters \
             WHERE published_at IS NULL AND (claimed_until IS NULL OR claimed_until < now()) \
             ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) \
         UPDATE letters SET claimed_until = now() + make_interval(secs => $2) \
         FROM waiting WHERE letters.id = waiting.id \
         RETURNING letters.id, topic, partition, record_offset, channel, order_id, key, payload, \
             header_names, header_values, reason, attempts";
    let query = sqlx::query_as(statement).bind(i64::from(limit)).bind(claim.as_secs_f64());
    let mut rows: Vec<LetterRow> = observe("claim_dead_letters", query.fetch_all(pool)).await?;
    rows.sort_by_key(|row| row.id);
    Ok(rows.into_iter().map(Claimed::from).collect())
}

/// Records that letters were published.
pub(super) async fn published(pool: &Pool, ids: &[i64]) -> Result<(), sqlx::Error> {
    // A letter without a claim was opened again in the meantime.
    let statement = "UPDATE letters SET published_at = now(), claimed_until = NULL \
         WHERE id = ANY ($1) AND claimed_until IS NOT NULL";
    let query = sqlx::query(statement).bind(ids);
    observe("record_published_letters", query.execute(pool)).await.map(drop)
}

/// Releases the claim on letters that could not be published.
pub(super) async fn release(pool: &Pool, ids: &[i64]) -> Result<(), sqlx::Error> {
    let query =
        sqlx::query("UPDATE letters SET claimed_until = NULL WHERE id = ANY ($1)").bind(ids);
    observe("release_dead_letters", query.execute(pool)).await.map(drop)
}
