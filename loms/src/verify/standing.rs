//! Judges whether a reservation is legitimate: a pure function over the rows that snapshots show.

use super::queries::{OrderNow, Reservation};
use crate::domain::OrderStatus;
use service_kit::verify::Invariant;

pub(super) static OWNED: Invariant = Invariant {
    name: "reservation-has-order",
    says: "a reservation older than RESERVATION_GRACE belongs to an existing order",
    checked: "reservations",
    ids: "orders",
};

pub(super) static SETTLED: Invariant = Invariant {
    name: "settled-order-holds-nothing",
    says: "a FAILED, PAYED or CANCELLED order holds no reservation, except while the stock is being settled, for at most RESERVATION_GRACE",
    checked: "reservations",
    ids: "orders",
};

/// How a reservation relates to its order, as shown by a snapshot taken earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The order owns it.
    Owned,
    /// It is still to be settled or given its order, and there is time left.
    Open(&'static Invariant),
    /// A sweeper should have given it back by now, and may be about to.
    Late(&'static Invariant),
    /// No correct execution leads to it.
    Wrong(&'static Invariant),
}

/// Judges a reservation.
pub(super) fn standing(reservation: &Reservation, order: Option<&OrderNow>) -> Standing {
    let Some(order) = order else {
        return if reservation.young { Standing::Open(&OWNED) } else { Standing::Late(&OWNED) };
    };
    match order.state.parse() {
        Ok(OrderStatus::Payed | OrderStatus::Cancelled) if !order.effect => {
            Standing::Wrong(&SETTLED)
        }
        // The stock is settled next. This also applies to a tombstone.
        Ok(OrderStatus::Payed | OrderStatus::Cancelled | OrderStatus::Failed) if order.young => {
            Standing::Open(&SETTLED)
        }
        Ok(OrderStatus::Payed | OrderStatus::Cancelled | OrderStatus::Failed) => {
            Standing::Late(&SETTLED)
        }
        // Other checks report states that an order cannot be in.
        Ok(OrderStatus::AwaitingPayment | OrderStatus::New) | Err(_) => Standing::Owned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::queries::Content;

    fn content() -> Content {
        Content { user: 1, key: None, skus: vec![1], counts: vec![1] }
    }

    #[test]
    fn a_reservation_stands_by_the_state_of_its_order() {
        use Standing::{Late, Open, Owned, Wrong};
        for (state, effect, young, expected) in [
            ("AWAITING_PAYMENT", false, false, Owned),
            ("PAYED", true, true, Open(&SETTLED)),
            ("CANCELLED", true, true, Open(&SETTLED)),
            ("PAYED", true, false, Late(&SETTLED)),
            ("CANCELLED", true, false, Late(&SETTLED)),
            ("PAYED", false, true, Wrong(&SETTLED)),
            ("CANCELLED", false, true, Wrong(&SETTLED)),
            ("FAILED", false, true, Open(&SETTLED)),
            ("FAILED", false, false, Late(&SETTLED)),
        ] {
            let order = OrderNow { state: state.to_owned(), content: content(), effect, young };
            let reservation = Reservation { order: 1000, content: content(), young: false };
            assert_eq!(standing(&reservation, Some(&order)), expected, "{state} {effect} {young}");
        }
        for (young, expected) in [(true, Open(&OWNED)), (false, Late(&OWNED))] {
            let reservation = Reservation { order: 1000, content: content(), young };
            assert_eq!(standing(&reservation, None), expected);
        }
    }
}
