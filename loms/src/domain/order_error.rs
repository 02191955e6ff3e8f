//! Why a use case of orders fails, and the messages that clients see.

use std::collections::BTreeMap;
use std::time::Duration;

use service_kit::error::{ErrorCode, ErrorInfo, PreconditionViolation, ServiceError};
use thiserror::Error;

use super::failure::{Failure, InvalidArgument};
use super::ids::OrderId;
use super::shortage::Shortage;
use super::status::OrderStatus;

/// Why a use case of orders failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OrderError {
    /// The request breaks a rule.
    #[error(transparent)]
    Invalid(#[from] InvalidArgument),
    /// There is no such order.
    #[error("there is no order {0}")]
    NotFound(OrderId),
    /// The order was recorded as failed: a SKU is unknown, or too few pieces are left.
    #[error("order {order} failed: {}", reasons(shortages))]
    OutOfStock {
        /// The order, which can be read as `FAILED`.
        order: OrderId,
        /// The SKUs that were short, at most [`MAX_SHORTAGES`](super::MAX_SHORTAGES). Empty if the
        /// order failed in an earlier attempt.
        shortages: Vec<Shortage>,
    },
    /// The state of the order forbids the change.
    #[error("order {order} is {from} and cannot become {to}")]
    Forbidden {
        /// The order.
        order: OrderId,
        /// Its current state.
        from: OrderStatus,
        /// The requested state.
        to: OrderStatus,
    },
    /// The idempotency key belongs to an order with other items.
    #[error("the idempotency key was used for order {order}, which has different items")]
    KeyReused {
        /// The order that was created under the key.
        order: OrderId,
    },
    /// The request was not carried out.
    #[error(transparent)]
    Failed(Failure),
}

/// What becomes a [`Failure`], such as an error of a database, is one here.
impl<E> From<E> for OrderError
where
    Failure: From<E>,
{
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

fn reasons(shortages: &[Shortage]) -> String {
    if shortages.is_empty() {
        return "a sku is unknown, or too few pieces of it are in stock".to_owned();
    }
    let reasons: Vec<String> = shortages.iter().map(Shortage::to_string).collect();
    reasons.join("; ")
}

impl ServiceError for OrderError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(invalid) => invalid.code(),
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::OutOfStock { .. } | Self::Forbidden { .. } => ErrorCode::FailedPrecondition,
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

    fn preconditions(&self) -> Vec<PreconditionViolation> {
        let Self::OutOfStock { shortages, .. } = self else { return Vec::new() };
        let violation = |shortage: &Shortage| PreconditionViolation {
            kind: "STOCK",
            subject: format!("sku/{}", shortage.sku),
            description: shortage.to_string(),
        };
        shortages.iter().map(violation).collect()
    }

    /// The metadata has `sku/{number}/wanted` for each SKU that is short, and `sku/{number}/left`
    /// if the SKU is known.
    fn info(&self) -> Option<ErrorInfo> {
        let Self::OutOfStock { shortages, .. } = self else { return None };
        if shortages.is_empty() {
            return None;
        }
        let mut metadata = BTreeMap::new();
        for Shortage { sku, wanted, left } in shortages {
            metadata.insert(format!("sku/{sku}/wanted"), wanted.get().to_string());
            if let Some(left) = left {
                metadata.insert(format!("sku/{sku}/left"), left.to_string());
            }
        }
        Some(ErrorInfo { reason: "OUT_OF_STOCK", domain: "loms", metadata })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_never_reads_what_is_for_the_log_but_when_to_retry() {
        let error = OrderError::from(Failure::unavailable("db-7.internal refused"));
        assert!(!error.public_message().contains("db-7"), "{error}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    }
}
