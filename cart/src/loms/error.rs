//! The results of a failed call to loms that cart distinguishes.

use std::error::Error;

use service_kit::error::ErrorCode;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::domain::{CartError, Part, Shortage, Sku};

/// The maximum number of short SKUs that are named to a client.
const MAX_SHORTAGES: usize = 20;

/// Why a call to loms failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LomsError {
    /// loms does not know the SKU or the order.
    #[error("not found")]
    NotFound,
    /// There is not enough stock.
    #[error("not enough stock")]
    FailedPrecondition {
        /// The lines that are short, in words for people, as far as loms names them.
        short: Vec<String>,
        /// The same lines, for programs. Empty if loms is of an earlier version.
        shortages: Vec<Shortage>,
    },
    /// loms refuses the request itself; a retry cannot succeed.
    #[error("rejected: {0}")]
    Rejected(&'static str),
    /// loms has too many requests. This call did nothing.
    #[error("overloaded")]
    Overloaded,
    /// loms is down, or the connection failed: the outcome is unknown.
    #[error("unavailable")]
    Unavailable,
    /// loms returned an invalid answer, or failed at this particular request: the outcome is
    /// unknown. Other requests may still succeed.
    #[error("an unusable answer")]
    Unusable,
    /// loms does not accept the token of the call, which did nothing.
    #[error("the token was not accepted")]
    Denied,
    /// loms did not answer in time: the outcome is unknown.
    #[error("no answer in time")]
    DeadlineExceeded,
}

impl From<&Status> for LomsError {
    fn from(status: &Status) -> Self {
        match ErrorCode::from_grpc(status.code()) {
            Some(ErrorCode::NotFound) => Self::NotFound,
            Some(ErrorCode::FailedPrecondition) => {
                Self::FailedPrecondition { short: in_words(status), shortages: shortages(status) }
            }
            Some(ErrorCode::InvalidArgument) => Self::Rejected("invalid argument"),
            Some(ErrorCode::AlreadyExists) => {
                Self::Rejected("the intent's key belongs to another order")
            }
            Some(ErrorCode::Overloaded) => Self::Overloaded,
            Some(ErrorCode::DeadlineExceeded) => Self::DeadlineExceeded,
            Some(ErrorCode::Unavailable) => Self::Unavailable,
            _ if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) => {
                Self::Denied
            }
            // Only a status that was created on this side, when the connection broke, has a source.
            _ if status.source().is_some() => Self::Unavailable,
            _ => Self::Unusable,
        }
    }
}

/// The metadata of the error has `sku/{number}/wanted` for each SKU that is short, and
/// `sku/{number}/left` if the SKU is known.
fn shortages(status: &Status) -> Vec<Shortage> {
    let Some(info) = status.get_details_error_info() else { return Vec::new() };
    let number = |sku: Sku, what| info.metadata.get(&format!("sku/{sku}/{what}"))?.parse().ok();
    let shortage = |key: &String| {
        let sku = Sku::parse(key.strip_prefix("sku/")?.strip_suffix("/wanted")?).ok()?;
        let wanted = number(sku, "wanted")?;
        Some(Shortage { sku, wanted, available: number(sku, "left") })
    };
    let mut shortages: Vec<Shortage> = info.metadata.keys().filter_map(shortage).collect();
    shortages.sort_unstable_by_key(|shortage| shortage.sku);
    shortages.truncate(MAX_SHORTAGES);
    shortages
}

fn in_words(status: &Status) -> Vec<String> {
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
            | LomsError::Denied
            | LomsError::Unusable => Self::BadGateway(Part::Loms),
        }
    }
}
