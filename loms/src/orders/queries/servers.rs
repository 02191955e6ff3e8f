//! What a primary and its replica report about themselves.

use std::time::{Duration, Instant};

use service_kit::database::{Pool, observe};
use sqlx::{FromRow, PgConnection};

/// Locks nothing. A read-only server refuses it like any other write.
const CHECK_WRITABLE: &str = "SELECT FROM orders WHERE false FOR UPDATE";

/// Checks that the server answers and accepts writes.
pub(crate) async fn check_writable(pool: &Pool) -> Result<(), sqlx::Error> {
    observe("answer", sqlx::query(CHECK_WRITABLE).execute(pool)).await?;
    Ok(())
}

/// Identifies the history that a server's log belongs to: the system identifier of the cluster, and
/// the timeline. Each promotion starts a new timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lineage {
    pub system: i64,
    pub timeline: i32,
}

/// The position up to which a primary had flushed its log to disk.
pub(crate) struct LogPosition {
    pub lineage: Lineage,
    lsn: String,
    asked: Instant,
}

const LOG_POSITION: &str = "
SELECT lsn::text, system_identifier AS system, ('x' || left(pg_walfile_name(lsn), 8))::bit(32)::int AS timeline
FROM pg_control_system(), pg_current_wal_flush_lsn() AS lsn";

#[derive(FromRow)]
struct PositionRow {
    lsn: String,
    system: i64,
    timeline: i32,
}

/// Reads the log position of a primary. Fails on a server that is not a primary.
pub(crate) async fn log_position(primary: &mut PgConnection) -> Result<LogPosition, sqlx::Error> {
    let asked = Instant::now();
    let row: PositionRow =
        observe("log_position", sqlx::query_as(LOG_POSITION).fetch_one(primary)).await?;
    let lineage = Lineage { system: row.system, timeline: row.timeline };
    Ok(LogPosition { lineage, lsn: row.lsn, asked })
}

/// A replica that has replayed up to the primary's current position has no lag, however old the
/// last transaction is. If it has replayed up to an earlier position, it lags by at most the time
/// since then. Otherwise, its lag is measured from the last transaction that it replayed. Without a
/// position of the primary, a streaming replica is assumed to have received everything.
const REPLICA: &str = "
SELECT in_recovery, system, timeline, CASE
    WHEN replayed >= coalesce($1::text::pg_lsn, received) THEN 0
    WHEN replayed >= $2::text::pg_lsn THEN least($3, behind)
    ELSE behind
END::float8 AS lag_seconds
FROM (SELECT
    pg_is_in_recovery() AS in_recovery,
    system_identifier AS system,
    coalesce(
        (SELECT received_tli FROM pg_stat_wal_receiver),
        greatest(min_recovery_end_timeline, timeline_id)
    ) AS timeline,
    pg_last_wal_replay_lsn() AS replayed,
    CASE WHEN EXISTS (SELECT FROM pg_stat_wal_receiver) THEN pg_last_wal_receive_lsn() END AS received,
    extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 AS behind
    FROM pg_control_system(), pg_control_recovery(), pg_control_checkpoint()
) AS replica";

#[derive(FromRow)]
struct ReplicaRow {
    in_recovery: bool,
    system: i64,
    timeline: i32,
    lag_seconds: Option<f64>,
}

/// What a server that should be a replica reports.
pub(crate) struct ReplicaState {
    /// Whether it replicates a primary. A promoted server does not.
    pub in_recovery: bool,
    pub lineage: Lineage,
    /// How far it is behind its primary. `None` if it cannot tell.
    pub lag: Option<Duration>,
}

/// Queries a replica, given the current and an earlier log position of the primary.
pub(crate) async fn replica_state(
    replica: &mut PgConnection,
    now: Option<&LogPosition>,
    earlier: Option<&LogPosition>,
) -> Result<ReplicaState, sqlx::Error> {
    let query = sqlx::query_as(REPLICA)
        .bind(now.map(|position| position.lsn.as_str()))
        .bind(earlier.map(|position| position.lsn.as_str()))
        .bind(earlier.map(|position| position.asked.elapsed().as_secs_f64()));
    let row: ReplicaRow = observe("replica_lag", query.fetch_one(replica)).await?;
    let lag =
        row.lag_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
    let lineage = Lineage { system: row.system, timeline: row.timeline };
    Ok(ReplicaState { in_recovery: row.in_recovery, lineage, lag })
}
