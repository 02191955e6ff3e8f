//! Who gets what of the stock: pure decisions over rows that somebody else has read and locked.

use std::collections::{BTreeMap, HashMap};

use crate::domain::{IdempotencyKey, Lines, MAX_SHORTAGES, OrderId, Shortage, Sku, UserId};

/// Stock wanted for an order that is about to be written down.
#[derive(Clone, Debug)]
pub struct ReservationRequest {
    /// The order.
    pub order: OrderId,
    /// Whose order it is.
    pub user: UserId,
    /// The key under which an earlier attempt may have reserved already.
    pub key: Option<IdempotencyKey>,
    /// What is wanted: all of it or nothing.
    pub lines: Lines,
}

/// What became of a [`ReservationRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// All of it is held for `order`, which is another one than asked for where an earlier attempt under the same key
    /// holds it.
    Held {
        /// The order.
        order: OrderId,
    },
    /// A SKU is unknown or too few are left; nothing is held.
    Short {
        /// Which, at most [`MAX_SHORTAGES`] of them.
        shortages: Vec<Shortage>,
    },
    /// The key holds stock for other lines.
    KeyReused {
        /// The order of the earlier attempt.
        order: OrderId,
        /// Its lines; `None` when they cannot be read.
        lines: Option<Lines>,
    },
}

/// What is left to reserve, by SKU. A SKU that is not here does not exist.
pub(super) type Available = HashMap<Sku, i64>;

/// The open reservations made under a key, each with its lines, unless those cannot be read.
pub(super) type ByKey = HashMap<(UserId, IdempotencyKey), (OrderId, Option<Lines>)>;

/// The answers to a batch of requests and what has to be written for them.
#[derive(Debug, Default)]
pub(super) struct Decision {
    /// One per request, at its index.
    pub answers: Vec<Reservation>,
    /// The indices of the requests that get a new reservation.
    pub granted: Vec<usize>,
    /// How much more is reserved of each SKU.
    pub reserved: BTreeMap<Sku, i64>,
}

/// Decides the requests in their order, each against what those before it left.
pub(super) fn decide(
    mut available: Available,
    mut by_key: ByKey,
    requests: &[ReservationRequest],
) -> Decision {
    let mut decision = Decision::default();
    for (index, request) in requests.iter().enumerate() {
        let key = request.key.clone().map(|key| (request.user, key));
        let earlier = key.as_ref().and_then(|key| by_key.get(key));
        let answer = match earlier {
            Some((order, Some(lines))) if *lines == request.lines => Reservation::Held { order: *order },
            Some((order, lines)) => Reservation::KeyReused { order: *order, lines: lines.clone() },
            None if shortages(&available, &request.lines).next().is_none() => {
                for line in request.lines.iter() {
                    let count = i64::from(line.count);
                    *decision.reserved.entry(line.sku).or_default() += count;
                    if let Some(left) = available.get_mut(&line.sku) {
                        *left -= count;
                    }
                }
                decision.granted.push(index);
                if let Some(key) = key {
                    by_key.insert(key, (request.order, Some(request.lines.clone())));
                }
                Reservation::Held { order: request.order }
            }
            None => {
                let shortages = shortages(&available, &request.lines).take(MAX_SHORTAGES).collect();
                Reservation::Short { shortages }
            }
        };
        decision.answers.push(answer);
    }
    decision
}

/// The lines that what is left does not cover.
fn shortages(available: &Available, lines: &Lines) -> impl Iterator<Item = Shortage> {
    lines.iter().filter_map(|line| {
        let left = available.get(&line.sku).copied();
        let covered = left.is_some_and(|left| left >= i64::from(line.count));
        let left = left.map(|left| u64::try_from(left).unwrap_or_default());
        (!covered).then_some(Shortage { sku: line.sku, wanted: line.count, left })
    })
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Quantity;
    use crate::items::lines;

    fn request(order: i64, key: Option<&str>, items: &[(i64, i64)]) -> ReservationRequest {
        let (skus, counts): (Vec<i64>, Vec<i64>) = items.iter().copied().unzip();
        ReservationRequest {
            order: OrderId::try_from(order).unwrap(),
            user: UserId::try_from(1).unwrap(),
            key: key.map(|key| IdempotencyKey::try_from(key).unwrap()),
            lines: lines(&skus, &counts).unwrap(),
        }
    }

    fn held(order: i64) -> Reservation {
        Reservation::Held { order: OrderId::try_from(order).unwrap() }
    }

    fn short(skus: &[(u32, u32, Option<u64>)]) -> Reservation {
        let shortage = |(sku, wanted, left): &(u32, u32, Option<u64>)| Shortage {
            sku: Sku::try_from(*sku).unwrap(),
            wanted: Quantity::try_from(*wanted).unwrap(),
            left: *left,
        };
        Reservation::Short { shortages: skus.iter().map(shortage).collect() }
    }

    fn stock(levels: &[(u32, i64)]) -> Available {
        levels.iter().map(|(sku, left)| (Sku::try_from(*sku).unwrap(), *left)).collect()
    }

    #[test]
    fn an_order_gets_all_of_its_lines_or_none() {
        let requests = [request(1, None, &[(1, 3), (2, 9)]), request(2, None, &[(1, 5)])];
        let decision = decide(stock(&[(1, 5), (2, 8)]), ByKey::new(), &requests);
        assert_eq!(decision.answers, [short(&[(2, 9, Some(8))]), held(2)]);
        assert_eq!(decision.granted, [1]);
    }

    #[test]
    fn an_unknown_sku_is_short() {
        let decision = decide(stock(&[]), ByKey::new(), &[request(1, None, &[(1, 1)])]);
        assert_eq!(decision.answers, [short(&[(1, 1, None)])]);
    }

    #[test]
    fn a_retry_gets_what_its_first_attempt_holds_even_when_nothing_is_left() {
        let first = request(1, Some("k"), &[(1, 5)]);
        let by_key = ByKey::from([(
            (first.user, first.key.clone().unwrap()),
            (first.order, Some(first.lines.clone())),
        )]);
        let retries = [request(2, Some("k"), &[(1, 5)]), request(3, Some("k"), &[(1, 4)])];
        let decision = decide(stock(&[(1, 0)]), by_key, &retries);
        let order = OrderId::try_from(1).unwrap();
        let held_for = Some(first.lines);
        assert_eq!(decision.answers, [held(1), Reservation::KeyReused { order, lines: held_for }]);
        assert!(decision.granted.is_empty() && decision.reserved.is_empty());
    }

    #[test]
    fn two_attempts_under_one_key_in_one_batch_hold_one_reservation() {
        let attempts = [request(1, Some("k"), &[(1, 5)]), request(2, Some("k"), &[(1, 5)])];
        let decision = decide(stock(&[(1, 9)]), ByKey::new(), &attempts);
        assert_eq!(decision.answers, [held(1), held(1)]);
        assert_eq!(decision.granted, [0]);
    }
}
