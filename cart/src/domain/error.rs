//! Everything that can go wrong with a cart, in the words that clients see.

use std::fmt;
use std::time::Duration;

use shared_actors::actor::AskError;
use shared_actors::database::DatabaseError;
use shared_actors::error::{ErrorCode, ServiceError};

use super::Sku;

/// What a client is told to wait before it asks again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A part that the cart service leans on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its own databases and actors.
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

/// Why a request to a cart was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CartError {
    /// A rule of the request is broken.
    #[error("{field} {reason}")]
    InvalidArgument {
        /// The field at fault, as clients spell it.
        field: &'static str,
        /// What it must be.
        reason: String,
    },
    /// There is nothing in the cart.
    #[error("the cart is empty")]
    EmptyCart,
    /// The product service does not know the SKU.
    #[error("SKU {0} is unknown to the product service")]
    UnknownSku(Sku),
    /// Fewer are in stock than the line would hold.
    #[error("of SKU {sku} {available} are available, the cart would hold {wanted}")]
    OutOfStock {
        /// Of what.
        sku: Sku,
        /// What the line would hold.
        wanted: u16,
        /// What can be sold.
        available: u64,
    },
    /// loms refused the order for want of stock.
    #[error("the stock does not suffice for this order{}{}", if short.is_empty() { "" } else { ": " }, short.join("; "))]
    OrderRefused {
        /// What is short, as far as loms says.
        short: Vec<String>,
    },
    /// The order was cancelled, most likely for want of payment, before anybody could be told of it.
    #[error("the order of this checkout was cancelled before it could be answered; the cart is as it was")]
    OrderCancelled,
    /// An idempotency key came again with another request.
    #[error("this Idempotency-Key was used for another request")]
    KeyReused,
    /// An idempotency key came again while its first request is under way.
    #[error("a request with this Idempotency-Key is under way")]
    KeyInFlight,
    /// The product service no longer knows a product in the cart.
    #[error("the product service does not know SKU {0} of this cart any more; remove it to see the others")]
    LostProduct(Sku),
    /// More work than is admitted. Nothing was done.
    #[error("too many requests at once")]
    Overloaded,
    /// A part is down; a change may have been made or not.
    #[error("{0} is unavailable")]
    Unavailable(Part),
    /// No answer in time; a change may have been made or not.
    #[error("{0} did not answer in time")]
    DeadlineExceeded(Part),
    /// A part answered what it must not.
    #[error("{0} gave an unusable answer")]
    BadGateway(Part),
    /// A defect of ours.
    #[error("internal error")]
    Internal,
}

impl CartError {
    /// `field` breaks a rule: "`field` `reason`" is the message.
    pub fn invalid(field: &'static str, reason: impl Into<String>) -> Self {
        Self::InvalidArgument { field, reason: reason.into() }
    }
}

impl From<AskError> for CartError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded { .. } => Self::Overloaded,
            AskError::DeadlineExceeded => Self::DeadlineExceeded(Part::Carts),
            AskError::Unavailable => Self::Unavailable(Part::Carts),
        }
    }
}

impl From<DatabaseError> for CartError {
    fn from(error: DatabaseError) -> Self {
        if error.is_transient() { Self::Unavailable(Part::Carts) } else { Self::Internal }
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
            | Self::OrderCancelled => ErrorCode::FailedPrecondition,
            Self::KeyReused => ErrorCode::IdempotencyKeyReused,
            Self::KeyInFlight => ErrorCode::Conflict,
            Self::Overloaded => ErrorCode::Overloaded,
            Self::Unavailable(_) => ErrorCode::Unavailable,
            Self::DeadlineExceeded(_) => ErrorCode::DeadlineExceeded,
            Self::BadGateway(_) | Self::LostProduct(_) => ErrorCode::BadGateway,
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

    fn retry_after(&self) -> Option<Duration> {
        matches!(
            self,
            Self::Overloaded | Self::Unavailable(_) | Self::DeadlineExceeded(_) | Self::KeyInFlight
        )
        .then_some(RETRY_AFTER)
    }
}
