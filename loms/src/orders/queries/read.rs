//! Reading orders.

use std::time::{Duration, Instant};

use shared_actors::database::{Pool, observe};
use sqlx::PgConnection;

use crate::domain::{Order, OrderId, OrderStatus};
use crate::items::{decoded, lines};

/// Id, user, state, SKUs, counts.
pub(super) type OrderRow = (i64, i64, String, Vec<i64>, Vec<i64>);

pub(super) fn order((id, user, state, skus, counts): &OrderRow) -> Result<Order, sqlx::Error> {
    let status: OrderStatus = state.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Order { id: decoded(*id)?, user: decoded(*user)?, status, lines: lines(skus, counts)? })
}

fn orders(rows: &[OrderRow]) -> Result<Vec<Order>, sqlx::Error> {
    rows.iter().map(order).collect()
}

const FIND: &str = "SELECT id, user_id, state, skus, counts FROM orders WHERE id = ANY($1)";

/// The orders with these ids, in any order; unknown ids are left out.
pub(crate) async fn find(pool: &Pool, ids: &[i64]) -> Result<Vec<Order>, sqlx::Error> {
    let rows: Vec<OrderRow> = observe("get_orders", sqlx::query_as(FIND).bind(ids).fetch_all(pool)).await?;
    orders(&rows)
}

const NOT_FAILED: &str = "SELECT id FROM orders WHERE id = ANY($1) AND state <> 'FAILED'";

/// Those of the orders that are there and have not failed: their reservations are theirs.
pub(crate) async fn not_failed(pool: &Pool, ids: &[i64]) -> Result<Vec<OrderId>, sqlx::Error> {
    let query = sqlx::query_scalar(NOT_FAILED).bind(ids);
    let ids: Vec<i64> = observe("not_failed_orders", query.fetch_all(pool)).await?;
    ids.into_iter().map(decoded).collect()
}

const PAGE: &str = "
SELECT id, user_id, state, skus, counts FROM orders WHERE id < $1 ORDER BY id DESC LIMIT $2";

/// The newest orders that are older than `before`, newest first.
pub(crate) async fn page(pool: &Pool, before: i64, limit: i64) -> Result<Vec<Order>, sqlx::Error> {
    let query = sqlx::query_as(PAGE).bind(before).bind(limit);
    let rows: Vec<OrderRow> = observe("list_orders", query.fetch_all(pool)).await?;
    orders(&rows)
}

const UNPAID: &str = "
SELECT id FROM orders WHERE state = 'AWAITING_PAYMENT' AND pay_before < now() ORDER BY pay_before LIMIT $1";

/// Orders whose time to be paid is over, by the clock of the database.
pub(crate) async fn unpaid(pool: &Pool, limit: usize) -> Result<Vec<OrderId>, sqlx::Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let ids: Vec<i64> =
        observe("unpaid_orders", sqlx::query_scalar(UNPAID).bind(limit).fetch_all(pool)).await?;
    ids.into_iter().map(decoded).collect()
}

/// How far the log of a primary had come, on its disk.
pub(crate) struct LogPosition {
    lsn: String,
    asked: Instant,
}

pub(crate) async fn log_position(primary: &mut PgConnection) -> Result<LogPosition, sqlx::Error> {
    let asked = Instant::now();
    let position = sqlx::query_scalar("SELECT pg_current_wal_flush_lsn()::text");
    let lsn = observe("log_position", position.fetch_one(primary)).await?;
    Ok(LogPosition { lsn, asked })
}

/// A replica that has replayed as much as the primary has now, has no lag, however long ago the last transaction was; one that
/// has replayed as much as there was earlier lags by that time at the most. Any other one knows nothing newer than the last
/// transaction that it saw. While the primary does not tell, one that streams is trusted to have received everything.
const LAG: &str = "
SELECT CASE
    WHEN NOT pg_is_in_recovery() THEN 0
    WHEN replayed >= coalesce($1::text::pg_lsn, received) THEN 0
    WHEN replayed >= $2::text::pg_lsn THEN least($3, behind)
    ELSE behind
END::float8
FROM (SELECT
    pg_last_wal_replay_lsn() AS replayed,
    CASE WHEN EXISTS (SELECT FROM pg_stat_wal_receiver) THEN pg_last_wal_receive_lsn() END AS received,
    extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 AS behind
) AS replica";

/// How far the replica is behind its primary, given positions of the primary's log, now and earlier; `None` when it cannot tell.
pub(crate) async fn replica_lag(
    replica: &mut PgConnection,
    now: Option<&LogPosition>,
    earlier: Option<&LogPosition>,
) -> Result<Option<Duration>, sqlx::Error> {
    let query = sqlx::query_scalar(LAG)
        .bind(now.map(|position| position.lsn.as_str()))
        .bind(earlier.map(|position| position.lsn.as_str()))
        .bind(earlier.map(|position| position.asked.elapsed().as_secs_f64()));
    let lag: Option<f64> = observe("replica_lag", query.fetch_one(replica)).await?;
    Ok(lag.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok()))
}
