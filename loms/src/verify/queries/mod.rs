//! All statements of `loms verify`. None of them writes or takes a lock.

mod crossings;
mod local;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor, FromRow};

use super::report::{Finding, Invariant, TOLD_IDS};

pub(super) use crossings::{
    Content, OrderNow, PaidOrder, Pieces, Reservation, StockRow, add, awaiting, held_by, orders,
    paid, paid_lately, reservations, stock,
};
pub(super) use local::{
    CHANGES, DUPLICATE_EVENT_IDS, EFFECTS, EVENTS, GAPS, HELD, KEYED, LOST_CHANGES,
    MISPLACED_EFFECTS, ORDERS, OTHER_SEQUENCES, OTHER_STATES, OUT_OF_BOUNDS, REFUSED_EFFECTS,
    SECOND_KEYS, SKUS, UNSEEDED, WRONG_LINES, foreign_ids, illegal_steps, lost_events,
    misordered_events, repeated_events, strange_events, ungiven_ids, users,
};

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Begins a transaction. Its first statement fixes the snapshot for all of its statements.
pub(super) async fn begin(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    connection.execute(BEGIN).await?;
    Ok(())
}

/// A database's record of its place among the shards.
#[derive(FromRow)]
pub(super) struct Place {
    /// The shard that it is. `None` if it has never been used.
    pub shard: Option<i32>,
    /// The number of shards that orders have been written to, as far as this database knows.
    pub known_shards: i32,
}

const PLACE: &str = "
SELECT (SELECT shard FROM shard_identity) AS shard,
    (SELECT coalesce(max(shards), 0) FROM shard_layouts) AS known_shards";

pub(super) async fn place(connection: &mut PgConnection) -> Result<Place, sqlx::Error> {
    sqlx::query_as(PLACE).fetch_one(connection).await
}

/// An invariant over the rows of one database.
pub(super) struct Check {
    pub invariant: &'static Invariant,
    /// The rows that are checked, as an SQL fragment from `FROM` on, to be counted.
    pub all: &'static str,
    /// A query for the `id` of each violating row. An id that is returned twice counts twice.
    pub wrong: String,
    /// Whether the rows that do not violate it count as open.
    open: bool,
}

#[derive(sqlx::FromRow)]
struct CheckRow {
    checked: i64,
    violations: i64,
    ids: Vec<i64>,
}

impl Check {
    pub fn new(invariant: &'static Invariant, all: &'static str, wrong: impl Into<String>) -> Self {
        Self { invariant, all, wrong: wrong.into(), open: false }
    }

    /// The same check, with every row that does not violate the invariant counted as open.
    pub fn open(self) -> Self {
        Self { open: true, ..self }
    }

    /// Runs the check. The server counts, and spills to its disk what does not fit into its memory.
    pub async fn run(&self, connection: &mut PgConnection) -> Result<Finding, sqlx::Error> {
        let Self { invariant, all, wrong, open } = self;
        let statement = format!(
            "WITH wrong AS MATERIALIZED ({wrong})
             SELECT (SELECT count(*) {all}) AS checked, (SELECT count(*) FROM wrong) AS violations,
                 coalesce((SELECT array_agg(id) FROM (SELECT id FROM wrong ORDER BY id LIMIT {TOLD_IDS}) AS told), '{{}}') AS ids"
        );
        let CheckRow { checked, violations, ids } =
            sqlx::query_as(AssertSqlSafe(statement)).fetch_one(connection).await?;
        let (checked, violations) = (checked.unsigned_abs(), violations.unsigned_abs());
        let open = if *open { checked.saturating_sub(violations) } else { 0 };
        Ok(Finding { invariant, checked, open, violations, ids })
    }
}
