//! All errors of carts, with the messages that clients see.

use std::fmt;
use std::time::Duration;

use service_kit::error::{Detail, ErrorCode, ServiceError};

use super::{Line, Shortage, Sku};

/// The retry delay that clients are given.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A message names at most this many SKUs.
const NAMED: usize = 10;

/// A part of the system that the cart service depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The databases and actors of cart itself.
    Carts,
    /// loms, the service of orders and stock.
    Loms,
    /// The product service.
    Products,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Carts => "the cart store",
            Self::Loms => "the order service",
            Self::Products => "the product service",
        })
    }
}

/// Why a request to a cart failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CartError {
    /// The request breaks a rule.
    #[error("{field} {reason}")]
    InvalidArgument {
        /// The name of the wrong field, as clients spell it.
        field: &'static str,
        /// What the field must be.
        reason: String,
    },
    /// The cart is empty.
    #[error("the cart is empty")]
    EmptyCart,
    /// The product service does not know the SKU.
    #[error("SKU {0} is unknown to the product service")]
    UnknownSku(Sku),
    /// The stock is smaller than the line would be.
    #[error("SKU {sku}: {available} available, but the cart would hold {wanted}")]
    OutOfStock {
        /// The product.
        sku: Sku,
        /// How many pieces the line would hold.
        wanted: u16,
        /// How many pieces can be sold.
        available: u64,
    },
    /// loms refused the order because of insufficient stock.
    #[error("not enough stock for this order{}{}", if short.is_empty() { "" } else { ": " }, short.join("; "))]
    OrderRefused {
        /// The lines that are short, in words for people, as far as loms names them.
        short: Vec<String>,
        /// The same lines, for programs.
        shortages: Vec<Shortage>,
    },
    /// The order was cancelled, most likely because it was not paid, before its id could be
    /// returned.
    #[error(
        "the order of this checkout was cancelled before it could be returned; the cart is unchanged"
    )]
    OrderCancelled,
    /// The idempotency key was used before for a different request.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    /// The first request with this idempotency key is still in progress.
    #[error("a request with this Idempotency-Key is in progress")]
    KeyInFlight,
    /// The product service no longer knows some products in the cart.
    #[error("{} no longer sold: remove {} from the cart", skus(.0), if .0.len() == 1 { "it" } else { "them" })]
    LostProducts(Vec<Line>),
    /// Too many requests at once. Nothing was done.
    #[error("too many requests at once")]
    Overloaded,
    /// A part is down. A change may or may not have been made.
    #[error("{0} is unavailable")]
    Unavailable(Part),
    /// A part did not answer in time. A change may or may not have been made.
    #[error("{0} did not answer in time")]
    DeadlineExceeded(Part),
    /// A part returned an invalid answer.
    #[error("{0} gave an unusable answer")]
    BadGateway(Part),
    /// A bug in cart.
    #[error("internal error")]
    Internal,
}

/// The first SKUs, in words.
fn skus(lines: &[Line]) -> String {
    let named: Vec<String> = lines.iter().take(NAMED).map(|line| line.sku.to_string()).collect();
    let more = lines.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    match lines.len() {
        1 => format!("SKU {} is", named[0]),
        _ => format!("SKUs {}{rest} are", named.join(", ")),
    }
}

impl CartError {
    /// `field` breaks a rule. The message is "`field` `reason`".
    pub fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::InvalidArgument { field, reason: reason.into() }
    }
}

impl ServiceError for CartError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidArgument { .. } => ErrorCode::InvalidArgument,
            Self::EmptyCart => ErrorCode::NotFound,
            Self::UnknownSku(_)
            | Self::OutOfStock { .. }
            | Self::OrderRefused { .. }
            | Self::LostProducts(_)
            | Self::OrderCancelled => ErrorCode::FailedPrecondition,
            Self::KeyReused => ErrorCode::IdempotencyKeyReused,
            Self::KeyInFlight => ErrorCode::Conflict,
            Self::Overloaded => ErrorCode::Overloaded,
            Self::Unavailable(_) => ErrorCode::Unavailable,
            Self::DeadlineExceeded(_) => ErrorCode::DeadlineExceeded,
            Self::BadGateway(_) => ErrorCode::BadGateway,
            Self::Internal => ErrorCode::Internal,
        }
    }

    fn public_message(&self) -> String {
        self.to_string()
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::InvalidArgument { field, .. } => Some(field),
            _ => None,
        }
    }

    fn details(&self) -> Vec<Detail> {
        match self {
            Self::OutOfStock { sku, wanted, available } => {
                let (wanted, available) = ((*wanted).into(), Some(*available));
                vec![Shortage { sku: *sku, wanted, available }.detail()]
            }
            Self::OrderRefused { shortages, .. } => {
                shortages.iter().map(Shortage::detail).collect()
            }
            Self::LostProducts(lines) => {
                let shortage = |line: &Line| Shortage {
                    sku: line.sku,
                    wanted: line.count.get().into(),
                    available: None,
                };
                lines.iter().map(|line| shortage(line).detail()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        matches!(
            self,
            Self::Overloaded | Self::Unavailable(_) | Self::DeadlineExceeded(_) | Self::KeyInFlight
        )
        .then_some(RETRY_AFTER)
    }
}
