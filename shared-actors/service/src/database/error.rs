//! Database errors, classified by what they mean to the caller.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{ErrorCode, ServiceError};

/// A database error by class. Cheap to clone, so that a batch can give it to each of its commands.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The server is unreachable or refuses work. If this happened during a commit, the outcome is
    /// unknown.
    #[error("database unavailable: {0}")]
    Unavailable(#[source] Arc<sqlx::Error>),
    /// Another transaction came first: a unique key violation, a serialization failure or a
    /// deadlock. Nothing was changed.
    #[error("database conflict: {0}")]
    Conflict(#[source] Arc<sqlx::Error>),
    /// A defect: a statement or a row does not match what the code expects.
    #[error("database error: {0}")]
    Internal(#[source] Arc<sqlx::Error>),
}

impl DatabaseError {
    /// The name of the violated constraint, if there is one.
    pub fn constraint(&self) -> Option<&str> {
        let (Self::Unavailable(error) | Self::Conflict(error) | Self::Internal(error)) = self;
        error.as_database_error()?.constraint()
    }

    /// Whether the statement certainly changed nothing, because it never reached the server or the
    /// server refused it. If this is false, its commit may have happened.
    pub fn changed_nothing(&self) -> bool {
        let (Self::Unavailable(error) | Self::Conflict(error) | Self::Internal(error)) = self;
        match &**error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
            sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
            sqlx::Error::Database(error) => error.code().is_some_and(|code| is_refusal_code(&code)),
            _ => false,
        }
    }

    /// Whether a retry may succeed without anyone intervening.
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

/// Whether the server or the network is at fault, and not the statement.
pub(super) fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => {
            database.code().is_some_and(|code| is_outage_code(&code))
        }
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

/// Whether the connection can no longer be used.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => database.code().is_some_and(|code| is_lost_code(&code)),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// Connection errors (08), a server that is shutting down or has crashed (57P), a transaction that
/// was idle too long (25P03). The server has closed the connection, or will.
fn is_lost_code(code: &str) -> bool {
    code.starts_with("08") || code.starts_with("57P") || code == "25P03"
}

/// Whether the server or this session is read-only: a replica, or a primary that an operator or a
/// failover has made read-only.
pub(super) fn is_read_only(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("25006")
}

/// Whether the server aborted the transaction to resolve a deadlock.
pub(super) fn is_deadlock(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("40P01")
}

/// The classes are connection errors (08), refused logins (28), insufficient resources (53),
/// operator intervention and timeouts (57), and disk errors of the server (58). The single codes
/// are a missing database (3D000), a lock that is not available (55P03), a primary that became
/// read-only (25006), and a transaction that was idle too long (25P03).
fn is_outage_code(code: &str) -> bool {
    ["08", "28", "53", "57", "58"].iter().any(|class| code.starts_with(class))
        || matches!(code, "3D000" | "55P03" | "25006" | "25P03")
}

/// Whether the server refuses the login: a wrong user or password, or no access rule for us.
pub(super) fn is_refused_login(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("28"))
}

/// Whether the code means that the server refused the statement. Some errors end the session within
/// a statement, possibly after its commit, and do not count: connection errors (08), disk errors
/// (58), internal errors (XX) and the end of the server (57P). An outcome that the server does not
/// know (40003) does not count either. A server that accepts no sessions yet (57P03) does count.
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
            Self::Conflict(_) => "conflict with a concurrent change",
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
