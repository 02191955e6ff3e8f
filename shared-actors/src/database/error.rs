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

    /// Whether the statement certainly changed nothing: it never reached the server, or the server refused it. Otherwise its
    /// commit may have happened.
    pub fn changed_nothing(&self) -> bool {
        let (Self::Unavailable(error) | Self::Conflict(error) | Self::Internal(error)) = self;
        match &**error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
            sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| is_refusal_code(&code)),
            _ => false,
        }
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

/// All but those of a session that ends within a statement, which may end after its commit: trouble with the connection
/// (08), with the disk (58) or within the server (XX), its end (57P), and an outcome that the server does not know.
fn is_refusal_code(code: &str) -> bool {
    let ends_session = ["08", "57P", "58", "XX"].iter().any(|class| code.starts_with(class));
    code == "57P03" || !(ends_session || code == "40003")
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

    #[test]
    fn only_what_the_server_never_got_or_refused_changed_nothing() {
        let io = |kind: std::io::ErrorKind| sqlx::Error::Io(kind.into());
        for (error, expected) in [
            (sqlx::Error::PoolTimedOut, true),
            (io(std::io::ErrorKind::ConnectionRefused), true),
            (io(std::io::ErrorKind::ConnectionReset), false),
            (io(std::io::ErrorKind::TimedOut), false),
            (sqlx::Error::WorkerCrashed, false),
        ] {
            let error = DatabaseError::from(error);
            assert_eq!(error.changed_nothing(), expected, "{error}");
        }
        for (code, expected) in
            [("25006", true), ("23505", true), ("57P03", true), ("57P01", false), ("08006", false)]
        {
            assert_eq!(is_refusal_code(code), expected, "{code}");
        }
    }
}
