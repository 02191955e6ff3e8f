//! A check that runs within one database.

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use super::report::{Finding, Invariant, TOLD_IDS};

/// An invariant over the rows of one database.
pub struct Check {
    invariant: &'static Invariant,
    /// The rows that are checked, as an SQL fragment from `FROM` on, to be counted.
    all: &'static str,
    /// A query for the `id` of each violating row. An id that is returned twice counts twice.
    wrong: String,
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
    /// A check of `invariant`. `all` and `wrong` are SQL: the rows to count, from `FROM` on, and a query
    /// for the `id` of each violating row.
    #[must_use]
    pub fn new(invariant: &'static Invariant, all: &'static str, wrong: impl Into<String>) -> Self {
        Self { invariant, all, wrong: wrong.into(), open: false }
    }

    /// The same check, with every row that does not violate the invariant counted as open.
    #[must_use]
    pub fn open(self) -> Self {
        Self { open: true, ..self }
    }

    /// Runs the check. The server counts, and spills to its disk what does not fit into its memory.
    ///
    /// # Errors
    /// The database reports an error.
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
