//! Why a caller is refused.

use crate::error::{ErrorCode, ServiceError};

/// Why a caller is refused.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AuthError {
    /// The request has no bearer token.
    #[error("a bearer token is required")]
    NoToken,
    /// The token is malformed, not signed by a known key, expired, or for somebody else.
    #[error("the bearer token is not valid: {0}")]
    InvalidToken(&'static str),
    /// The caller is known, and may not do this.
    #[error("this token does not permit it")]
    Forbidden,
    /// The keys have not been loaded yet.
    #[error("tokens cannot be checked now")]
    NoKeys,
}

impl ServiceError for AuthError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NoToken | Self::InvalidToken(_) => ErrorCode::Unauthenticated,
            Self::Forbidden => ErrorCode::PermissionDenied,
            Self::NoKeys => ErrorCode::Unavailable,
        }
    }

    fn public_message(&self) -> String {
        self.to_string()
    }
}
