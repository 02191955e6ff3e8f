//! The SQL of `notifier dlq`.

use service_kit::database::observe;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryAs;
use sqlx::{PgConnection, Postgres};

use super::arguments::Filter;
use super::letter::Letter;
use crate::events::OrderEvent;

/// The columns of a letter, and the conditions of a filter. Conditions that are not set are NULL.
macro_rules! matching {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " FROM letters WHERE ($1::bigint[] IS NULL OR id = ANY ($1)) \
                 AND ($2::text IS NULL OR strpos(reason, $2) > 0) \
                 AND ($3::timestamptz IS NULL OR created_at >= $3) \
                 AND ($4::timestamptz IS NULL OR created_at < $4) \
                 AND ($5::bigint IS NULL OR order_id = $5) \
                 AND ($6::text IS NULL OR channel = $6) \
                 AND ($7 OR resolved_at IS NULL)",
            $after
        )
    };
}

type Query<'q, T> = QueryAs<'q, Postgres, T, PgArguments>;

fn bind<'q, T>(query: Query<'q, T>, filter: &'q Filter, all: bool) -> Query<'q, T> {
    query
        .bind((!filter.id.is_empty()).then_some(&filter.id))
        .bind(&filter.reason)
        .bind(filter.since)
        .bind(filter.until)
        .bind(filter.order)
        .bind(filter.stored_channel())
        .bind(all)
}

/// How many letters match at a moment.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Matched {
    pub count: i64,
    /// Later letters have higher ids.
    pub highest: i64,
}

/// Counts the letters that match. Resolved letters count only with `all`.
pub(super) async fn matching(
    connection: &mut PgConnection,
    filter: &Filter,
    all: bool,
) -> Result<Matched, sqlx::Error> {
    let statement = matching!("SELECT count(*) AS count, coalesce(max(id), 0) AS highest", "");
    let query = bind(sqlx::query_as(statement), filter, all);
    observe("count_letters", query.fetch_one(connection)).await
}

/// The next letters that match, by id.
pub(super) async fn page(
    connection: &mut PgConnection,
    filter: &Filter,
    all: bool,
    after: i64,
    highest: i64,
    limit: i64,
) -> Result<Vec<Letter>, sqlx::Error> {
    let statement = matching!("SELECT *", " AND id > $8 AND id <= $9 ORDER BY id LIMIT $10");
    let query = bind(sqlx::query_as(statement), filter, all);
    let query = query.bind(after).bind(highest).bind(limit);
    observe("read_letters", query.fetch_all(connection)).await
}

/// Like [`page`], for unresolved letters. Locks them until the end of the transaction. Skips
/// letters that another process has locked.
pub(super) async fn lock(
    connection: &mut PgConnection,
    filter: &Filter,
    after: i64,
    highest: i64,
    limit: i64,
) -> Result<Vec<Letter>, sqlx::Error> {
    let statement = matching!(
        "SELECT *",
        " AND id > $8 AND id <= $9 ORDER BY id LIMIT $10 FOR UPDATE SKIP LOCKED"
    );
    let query = bind(sqlx::query_as(statement), filter, false);
    let query = query.bind(after).bind(highest).bind(limit);
    observe("lock_letters", query.fetch_all(connection)).await
}

/// The letter with this id.
pub(super) async fn one(
    connection: &mut PgConnection,
    id: i64,
) -> Result<Option<Letter>, sqlx::Error> {
    let query = sqlx::query_as("SELECT * FROM letters WHERE id = $1").bind(id);
    observe("read_letter", query.fetch_optional(connection)).await
}

/// Marks letters as replayed or dropped.
pub(super) async fn resolve(
    connection: &mut PgConnection,
    ids: &[i64],
    resolution: &str,
) -> Result<(), sqlx::Error> {
    let statement = "UPDATE letters SET resolved_at = now(), resolution = $2 WHERE id = ANY ($1)";
    let query = sqlx::query(statement).bind(ids).bind(resolution);
    observe("resolve_letters", query.execute(connection)).await.map(drop)
}

/// Makes the delivery of a letter pending again.
pub(super) async fn deliver_again(
    connection: &mut PgConnection,
    letter: &Letter,
    event: &OrderEvent,
) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO deliveries (channel, order_id, sequence, event_id, order_state, occurred_at, \
             replayed, topic, partition, record_offset, key, payload, header_names, header_values) \
         VALUES ($1, $2, $3, $4, $5, $6, true, $7, $8, $9, $10, $11, $12, $13) \
         ON CONFLICT (channel, order_id, sequence, event_id) DO UPDATE \
         SET status = 'pending', replayed = true, attempts = 0, refusals = 0, due_at = now(), \
             received_at = now(), ended_at = NULL, last_error = NULL, key = excluded.key, payload = excluded.payload, \
             header_names = excluded.header_names, header_values = excluded.header_values \
         WHERE deliveries.status = 'dead'";
    let query = sqlx::query(statement)
        .bind(&letter.channel)
        .bind(event.order_id)
        .bind(event.sequence.get().cast_signed())
        .bind(event.event_id)
        .bind(event.state.as_str())
        .bind(event.occurred_at)
        .bind(&letter.topic)
        .bind(letter.partition)
        .bind(letter.record_offset)
        .bind(&letter.key)
        .bind(&letter.payload)
        .bind(&letter.header_names)
        .bind(&letter.header_values);
    observe("deliver_again", query.execute(connection)).await.map(drop)
}
