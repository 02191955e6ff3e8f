//! What a call to loms can end with, as far as the cart tells it apart.

use std::error::Error;

use shared_actors::error::ErrorCode;
use tonic::Status;
use tonic_types::StatusExt;

use crate::domain::{CartError, Part};

/// How many SKUs that are short are named to a client at most.
const MAX_SHORTAGES: usize = 20;

/// Why loms did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LomsError {
    /// There is no such SKU.
    #[error("not found")]
    NotFound,
    /// The stock does not suffice.
    #[error("not enough stock")]
    FailedPrecondition {
        /// What is short, in words for people, as far as loms says.
        short: Vec<String>,
    },
    /// The request itself is refused; asking again changes nothing.
    #[error("rejected: {0}")]
    Rejected(&'static str),
    /// More work than loms admits. This call did nothing.
    #[error("overloaded")]
    Overloaded,
    /// It is down, or failed in the middle: the outcome is unknown.
    #[error("unavailable")]
    Unavailable,
    /// It answered what it must not, or failed at this very request: the outcome is unknown, and that of others may
    /// still be known.
    #[error("an unusable answer")]
    Unusable,
    /// It did not answer in time: the outcome is unknown.
    #[error("no answer in time")]
    DeadlineExceeded,
}

impl From<&Status> for LomsError {
    fn from(status: &Status) -> Self {
        match ErrorCode::from_grpc(status.code()) {
            Some(ErrorCode::NotFound) => Self::NotFound,
            Some(ErrorCode::FailedPrecondition) => Self::FailedPrecondition { short: shortages(status) },
            Some(ErrorCode::InvalidArgument) => Self::Rejected("invalid argument"),
            Some(ErrorCode::AlreadyExists) => Self::Rejected("the intent's key belongs to another order"),
            Some(ErrorCode::Overloaded) => Self::Overloaded,
            Some(ErrorCode::DeadlineExceeded) => Self::DeadlineExceeded,
            Some(ErrorCode::Unavailable) => Self::Unavailable,
            // Only a status that was made here, as the connection broke, has a source.
            _ if status.source().is_some() => Self::Unavailable,
            _ => Self::Unusable,
        }
    }
}

fn shortages(status: &Status) -> Vec<String> {
    let failure = status.get_details_precondition_failure();
    let violations = failure.into_iter().flat_map(|failure| failure.violations);
    violations.take(MAX_SHORTAGES).map(|violation| violation.description).collect()
}

impl From<LomsError> for CartError {
    fn from(error: LomsError) -> Self {
        match error {
            LomsError::Overloaded | LomsError::Unavailable => Self::Unavailable(Part::Loms),
            LomsError::DeadlineExceeded => Self::DeadlineExceeded(Part::Loms),
            LomsError::NotFound
            | LomsError::FailedPrecondition { .. }
            | LomsError::Rejected(_)
            | LomsError::Unusable => Self::BadGateway(Part::Loms),
        }
    }
}
