//! Decides which requests get stock: pure functions over rows that the caller has read and locked.

use std::collections::{BTreeMap, HashMap};

use crate::domain::{IdempotencyKey, Lines, MAX_SHORTAGES, OrderId, Shortage, Sku, UserId};

/// A request to reserve stock for an order that is about to be inserted.
#[derive(Clone, Debug)]
pub struct ReservationRequest {
    /// The order.
    pub order: OrderId,
    /// The user who places it.
    pub user: UserId,
    /// The idempotency key, under which an earlier attempt may already have reserved.
    pub key: Option<IdempotencyKey>,
    /// The lines to reserve: all or none.
    pub lines: Lines,
}

/// The result of a [`ReservationRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// All lines are held for `order`. It differs from the requested order if an earlier attempt
    /// under the same key holds them.
    Held {
        /// The order that holds the stock.
        order: OrderId,
    },
    /// A SKU is unknown or too few pieces are left. Nothing is held.
    Short {
        /// The SKUs that are short, at most [`MAX_SHORTAGES`].
        shortages: Vec<Shortage>,
    },
    /// The key already holds stock for other lines.
    KeyReused {
        /// The order of the earlier attempt.
        order: OrderId,
        /// Its lines. `None` if they cannot be read.
        lines: Option<Lines>,
    },
}

/// How many pieces are left to reserve, by SKU. SKUs that do not exist are absent.
pub(super) type Available = HashMap<Sku, i64>;

/// The open reservations by key, with their lines. The lines are `None` if they cannot be read.
pub(super) type ByKey = HashMap<(UserId, IdempotencyKey), (OrderId, Option<Lines>)>;

/// The answers to a batch of requests, and the changes to write.
#[derive(Debug, Default)]
pub(super) struct Decision {
    /// One answer per request, at the same index.
    pub answers: Vec<Reservation>,
    /// The indices of the requests that get a new reservation.
    pub granted: Vec<usize>,
    /// By how much the reserved count of each SKU grows.
    pub reserved: BTreeMap<Sku, i64>,
}

/// Decides the requests in order. Each sees the stock that the ones before it left.
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
            Some((order, Some(lines))) if *lines == request.lines => {
                Reservation::Held { order: *order }
            }
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
    assert_eq!(decision.answers.len(), requests.len(), "each request has an answer");
    assert!(
        decision.granted.len() <= requests.len() && decision.granted.is_sorted(),
        "indices of requests"
    );
    assert!(decision.reserved.values().all(|count| *count > 0), "a reservation only adds");
    decision
}

/// The lines that the remaining stock does not cover.
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
