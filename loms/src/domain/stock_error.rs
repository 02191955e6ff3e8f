//! Why a use case of the stock fails, and the messages that clients see.

use std::time::Duration;

use service_kit::error::{ErrorCode, ServiceError};
use thiserror::Error;

use super::failure::{Failure, InvalidArgument};
use super::ids::Sku;
use super::restock::StockLevel;

/// Why a use case of the stock failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StockError {
    /// The request breaks a rule.
    #[error(transparent)]
    Invalid(#[from] InvalidArgument),
    /// There is no such SKU.
    #[error("there is no sku {0}")]
    NotFound(Sku),
    /// Fewer pieces would be left than are reserved.
    #[error(
        "sku {sku} has {} pieces, of which {} are reserved: reserved pieces cannot be removed",
        level.total,
        level.reserved
    )]
    Reserved {
        /// The SKU.
        sku: Sku,
        /// Its current level.
        level: StockLevel,
    },
    /// The idempotency key belongs to another restock.
    #[error("the idempotency key was used for another restock, of sku {sku}")]
    KeyReused {
        /// The SKU that was restocked under the key.
        sku: Sku,
    },
    /// The request was not carried out.
    #[error(transparent)]
    Failed(Failure),
}

/// What becomes a [`Failure`], such as an error of a database, is one here.
impl<E> From<E> for StockError
where
    Failure: From<E>,
{
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl ServiceError for StockError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(invalid) => invalid.code(),
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Reserved { .. } => ErrorCode::FailedPrecondition,
            Self::KeyReused { .. } => ErrorCode::AlreadyExists,
            Self::Failed(failure) => failure.code(),
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Failed(failure) => failure.public_message(),
            told => told.to_string(),
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::Invalid(invalid) => invalid.field(),
            _ => None,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Failed(failure) => failure.retry_after(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_never_reads_what_is_for_the_log_but_when_to_retry() {
        let error = StockError::from(Failure::unavailable("db-7.internal refused"));
        assert!(!error.public_message().contains("db-7"), "{error}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    }
}
