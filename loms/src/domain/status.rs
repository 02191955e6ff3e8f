//! The states of an order and the transitions between them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    /// Requested; nothing is decided yet.
    New,
    /// Its stock is reserved.
    AwaitingPayment,
    /// Stock was short, or the attempt to create it was given up. Final.
    Failed,
    /// Paid; its pieces left the stock. Final.
    Payed,
    /// Cancelled before it was paid; its pieces can be sold again. Final.
    Cancelled,
}

impl OrderStatus {
    /// All states, in the order of an order's life.
    pub const ALL: [Self; 5] =
        [Self::New, Self::AwaitingPayment, Self::Failed, Self::Payed, Self::Cancelled];

    /// The name on the wire, in events and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::AwaitingPayment => "AWAITING_PAYMENT",
            Self::Failed => "FAILED",
            Self::Payed => "PAYED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Whether an order may change from this state to `to`.
    pub const fn may_become(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::New, Self::AwaitingPayment | Self::Failed)
                | (Self::AwaitingPayment, Self::Payed | Self::Cancelled)
        )
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not the name of a state.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0:?} is not the state of an order")]
pub struct UnknownStatus(String);

impl FromStr for OrderStatus {
    type Err = UnknownStatus;

    fn from_str(name: &str) -> Result<Self, UnknownStatus> {
        let known = Self::ALL.into_iter().find(|status| status.as_str() == name);
        known.ok_or_else(|| UnknownStatus(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_what_they_name() {
        for status in OrderStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        assert!("PAID".parse::<OrderStatus>().is_err());
    }

    #[test]
    fn only_the_four_legal_ways_lead_on() {
        let ways =
            OrderStatus::ALL.into_iter().flat_map(|from| OrderStatus::ALL.map(|to| (from, to)));
        let legal: Vec<_> = ways.filter(|(from, to)| from.may_become(*to)).collect();
        let (new, awaiting) = (OrderStatus::New, OrderStatus::AwaitingPayment);
        assert_eq!(
            legal,
            [
                (new, OrderStatus::AwaitingPayment),
                (new, OrderStatus::Failed),
                (awaiting, OrderStatus::Payed),
                (awaiting, OrderStatus::Cancelled),
            ]
        );
    }
}
