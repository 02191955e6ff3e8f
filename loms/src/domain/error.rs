//! Errors of orders and stock, and the messages that clients see.

use std::time::Duration;

use service_kit::error::{ErrorCode, PreconditionViolation, ServiceError};
use thiserror::Error;

use super::ids::{OrderId, Sku};
use super::restock::StockLevel;
use super::shortage::Shortage;
use super::status::OrderStatus;

/// Why a use case of orders or stock failed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OrderError {
    /// The request breaks a rule.
    #[error("{field}: {message}")]
    InvalidArgument {
        /// The field at fault, as the client spells it.
        field: &'static str,
        /// The rule that it breaks.
        message: String,
    },
    /// There is no such order.
    #[error("there is no order {0}")]
    OrderNotFound(OrderId),
    /// There is no such SKU.
    #[error("there is no sku {0}")]
    SkuNotFound(Sku),
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
    /// Fewer pieces would be left than are reserved.
    #[error(
        "sku {sku} has {} pieces, of which {} are reserved: reserved pieces cannot be removed",
        level.total,
        level.reserved
    )]
    StockReserved {
        /// The SKU.
        sku: Sku,
        /// Its current level.
        level: StockLevel,
    },
    /// The idempotency key belongs to another restock.
    #[error("the idempotency key was used for another restock, of sku {sku}")]
    RestockKeyReused {
        /// The SKU that was restocked under the key.
        sku: Sku,
    },
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
    /// An internal error of loms.
    #[error("{reason}")]
    Internal {
        /// The cause, for the log.
        reason: String,
    },
}

impl OrderError {
    /// `field` breaks the rule that `message` states.
    pub fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self::InvalidArgument { field, message: message.into() }
    }

    /// An internal error. Only the log shows `reason`.
    pub fn internal(reason: impl Into<String>) -> Self {
        Self::Internal { reason: reason.into() }
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
            Self::InvalidArgument { .. } => ErrorCode::InvalidArgument,
            Self::OrderNotFound(_) | Self::SkuNotFound(_) => ErrorCode::NotFound,
            Self::OutOfStock { .. } | Self::Forbidden { .. } | Self::StockReserved { .. } => {
                ErrorCode::FailedPrecondition
            }
            Self::KeyReused { .. } | Self::RestockKeyReused { .. } => ErrorCode::AlreadyExists,
            Self::Overloaded { .. } => ErrorCode::Overloaded,
            Self::Unavailable { .. } => ErrorCode::Unavailable,
            Self::DeadlineExceeded => ErrorCode::DeadlineExceeded,
            Self::Internal { .. } => ErrorCode::Internal,
        }
    }

    fn public_message(&self) -> String {
        match self {
            Self::Unavailable { .. } => "not available at the moment, try again".to_owned(),
            Self::Internal { .. } => "internal error".to_owned(),
            told => told.to_string(),
        }
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::InvalidArgument { field, .. } => Some(field),
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

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after } => Some(*retry_after),
            Self::Unavailable { .. } => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_never_reads_what_is_for_the_log() {
        for error in [
            OrderError::Unavailable { reason: "db-7.internal refused".to_owned() },
            OrderError::internal("db-7.internal sent nonsense"),
        ] {
            assert!(!error.public_message().contains("db-7"), "{error}");
        }
    }
}
