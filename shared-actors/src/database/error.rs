//! What a failed statement means to the one who sent it.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{ErrorCode, ServiceError};

/// A database error by class. Cheap to clone, so that a batch can give it to each of its commands.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The server is away or refuses work. When it happened to a commit, its outcome is unknown.
    #[error("database unavailable: {0}")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// Another transaction came first: a unique key, a serialization failure or a deadlock. Nothing was changed.
    #[error("database conflict: {0}")]
    Conflict(#[source] Arc<sqlx::Error>),
    /// A defect: a statement or a row that is not as the code believes.
    #[error("database error: {0}")]
    Internal(#[source] Arc<sqlx::Error>),
}

impl DatabaseError {
    /// The name of the constraint that was violated, when one was.
    pub fn constraint(&self) -> Option<&str> {
        let (Self::Unavailable(error) | Self::Conflict(error) | Self::Internal(error)) = self;
        error.as_database_error()?.constraint()
    }

    /// Whether asking again may help without anybody's doing.
    pub const fn is_transient(&self) -> bool {
        !matches!(self, Self::Internal(_))
    }
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        let error = Arc::new(error);
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match code.as_deref() {
            Some("23505" | "40001" | "40P01") => Self::Conflict(error),
            _ if is_outage(&error) => Self::Unavailable(error),
            _ => Self::Internal(error),
        }
    }
}

/// Whether the server or the way to it is at fault, and not the statement.
pub(super) fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => database.code().is_some_and(|code| is_outage_code(&code)),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => true,
        _ => false,
    }
}

/// Whether the connection is of no use any more.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => database.code().is_some_and(|code| is_lost_code(&code)),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            true
        }
        _ => false,
    }
}

/// Connection trouble (08), a server that shuts down or crashed (57P), a transaction that idled too long (25P03): the
/// server has closed the connection, or will.
fn is_lost_code(code: &str) -> bool {
    code.starts_with("08") || code.starts_with("57P") || code == "25P03"
}

/// Whether the server, or this session with it, takes no changes: a replica, or a primary that an operator or a failover
/// has made read-only.
pub(super) fn is_read_only(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("25006")
}

/// Whether the server ended the transaction so that others, which it waited for in a circle, go on.
pub(super) fn is_deadlock(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("40P01")
}

/// Connection trouble (08), a login that is refused (28), no resources (53), intervention and timeouts (57), trouble with
/// the server's disk (58), a database that is not there (3D000), a lock not to be had, a primary that became a replica, a
/// transaction that idled too long.
fn is_outage_code(code: &str) -> bool {
    ["08", "28", "53", "57", "58"].iter().any(|class| code.starts_with(class))
        || matches!(code, "3D000" | "55P03" | "25006" | "25P03")
}

/// Whether the server refuses to let us in: a wrong user or password, or no rule for us.
pub(super) fn is_refused_login(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("28"))
}

impl ServiceError for DatabaseError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unavailable(_) => ErrorCode::Unavailable,
            Self::Conflict(_) => ErrorCode::Conflict,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Unavailable(_) => "the database is unavailable",
            Self::Conflict(_) => "a concurrent change came first",
            Self::Internal(_) => "internal error",
        }
        .to_owned()
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(self, Self::Unavailable(_)).then_some(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_unavailable_and_says_no_internals() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        for outage in [sqlx::Error::Io(refused), sqlx::Error::PoolTimedOut] {
            let error = DatabaseError::from(outage);
            assert_eq!(error.code(), ErrorCode::Unavailable);
            assert_eq!(error.public_message(), "the database is unavailable");
            assert!(error.is_transient());
        }
        for code in ["57P01", "08006", "58030", "25P03", "28P01", "28000", "3D000"] {
            assert!(is_outage_code(code), "{code}");
        }
        assert!(!is_outage_code("23514") && !is_outage_code("25P02"));
        assert_eq!(DatabaseError::from(sqlx::Error::RowNotFound).code(), ErrorCode::Internal);
    }
}
