//! What a primary and its replica say of themselves.

use std::time::{Duration, Instant};

use shared_actors::database::{Pool, observe};
use sqlx::{FromRow, PgConnection};

/// Locks nothing. A server that is read-only refuses it like any other change.
const CHECK_WRITABLE: &str = "SELECT FROM orders WHERE false FOR UPDATE";

/// Checks that the server answers and can be written.
pub(crate) async fn check_writable(pool: &Pool) -> Result<(), sqlx::Error> {
    observe("answer", sqlx::query(CHECK_WRITABLE).execute(pool)).await?;
    Ok(())
}

/// Which history a server's log belongs to: the one of the cluster that was once made, and of those that went apart from
/// it by a promotion, the one of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lineage {
    pub system: i64,
    pub timeline: i32,
}

/// How far the log of a primary had come, on its disk.
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

/// Where the log of a primary is; an error from a server that is none.
pub(crate) async fn log_position(primary: &mut PgConnection) -> Result<LogPosition, sqlx::Error> {
    let asked = Instant::now();
    let row: PositionRow = observe("log_position", sqlx::query_as(LOG_POSITION).fetch_one(primary)).await?;
    let lineage = Lineage { system: row.system, timeline: row.timeline };
    Ok(LogPosition { lineage, lsn: row.lsn, asked })
}

/// A replica that has replayed as much as the primary has now, has no lag, however long ago the last transaction was; one that
/// has replayed as much as there was earlier lags by that time at the most. Any other one knows nothing newer than the last
/// transaction that it saw. While the primary does not tell, one that streams is trusted to have received everything.
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

/// What a server says that is taken for a replica.
pub(crate) struct ReplicaState {
    /// Whether it replicates a primary; a promoted server no longer does.
    pub in_recovery: bool,
    pub lineage: Lineage,
    /// How far it is behind its primary; `None` when it cannot tell.
    pub lag: Option<Duration>,
}

/// Asks a replica, given positions of the primary's log, now and earlier.
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
    let lag = row.lag_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
    let lineage = Lineage { system: row.system, timeline: row.timeline };
    Ok(ReplicaState { in_recovery: row.in_recovery, lineage, lag })
}
