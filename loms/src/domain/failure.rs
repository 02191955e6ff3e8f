//! What any use case can fail for: a request that breaks a rule, and a service that cannot carry it
//! out.

use std::time::Duration;

use service_kit::error::{ErrorCode, ServiceError};
use service_kit::identity::AuthError;
use thiserror::Error;

/// A field of the request breaks a rule.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{field}: {message}")]
pub struct InvalidArgument {
    /// The field at fault, as the client spells it.
    pub field: &'static str,
    /// The rule that it breaks.
    pub message: String,
}

impl InvalidArgument {
    /// `field` breaks the rule that `message` states.
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }
}

/// Why a valid request was not carried out, whatever it asked for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// Too many commands are waiting. Nothing happened.
    #[error("too many requests are waiting")]
    Overloaded {
        /// When a retry may succeed.
        retry_after: Duration,
    },
    /// A database or an actor failed to serve the request. It may have taken effect, so retry with
    /// the same key.
    #[error("not available at the moment: {reason}")]
    Unavailable {
        /// The cause, for the log.
        reason: String,
    },
    /// The answer did not arrive in time. The request may have taken effect, or may yet.
    #[error("the deadline passed before the answer")]
    DeadlineExceeded,
    /// The caller may not do this.
    #[error(transparent)]
    Refused(AuthError),
    /// An internal error of loms.
    #[error("{reason}")]
    Internal {
        /// The cause, for the log.
        reason: String,
    },
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        Self::Refused(error)
    }
}

impl Failure {
    /// Retry later with the same key. Only the log shows `reason`.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into() }
    }

    /// An internal error. Only the log shows `reason`.
    pub fn internal(reason: impl Into<String>) -> Self {
        Self::Internal { reason: reason.into() }
    }
}

impl ServiceError for InvalidArgument {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidArgument
    }

    fn public_message(&self) -> String {
        self.to_string()
    }

    fn field(&self) -> Option<&str> {
        Some(self.field)
    }
}

impl ServiceError for Failure {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Overloaded { .. } => ErrorCode::Overloaded,
            Self::Unavailable { .. } => ErrorCode::Unavailable,
            Self::DeadlineExceeded => ErrorCode::DeadlineExceeded,
            Self::Refused(error) => error.code(),
            Self::Internal { .. } => ErrorCode::Internal,
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Unavailable { .. } => "not available at the moment, try again".to_owned(),
            Self::Internal { .. } => "internal error".to_owned(),
            Self::Overloaded { .. } | Self::DeadlineExceeded | Self::Refused(_) => self.to_string(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after } => Some(*retry_after),
            Self::Unavailable { .. } => Some(Duration::from_secs(1)),
            Self::DeadlineExceeded | Self::Refused(_) | Self::Internal { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_never_reads_what_is_for_the_log() {
        for failure in [
            Failure::unavailable("db-7.internal refused"),
            Failure::internal("db-7.internal sent nonsense"),
        ] {
            assert!(!failure.public_message().contains("db-7"), "{failure}");
        }
    }
}
