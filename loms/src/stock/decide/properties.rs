//! Properties that hold for every sequence of requests, however it is split into batches.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::Line;
use crate::items::lines;

type Levels = Vec<(u32, i64)>;

fn stock(levels: &Levels) -> Available {
    levels.iter().map(|(sku, left)| (Sku::try_from(*sku).unwrap(), *left)).collect()
}

/// The levels of one to five SKUs.
fn levels() -> impl Strategy<Value = Levels> {
    prop::collection::vec(0i64..50, 1..6).prop_map(|levels| (1..).zip(levels).collect())
}

/// Requests of three users for up to seven SKUs, some of which do not exist. About half use one of
/// two keys, so keys repeat, with the same lines and with others.
fn requests() -> impl Strategy<Value = Vec<ReservationRequest>> {
    let lines = prop::collection::vec((1i64..8, 1i64..20), 1..4)
        .prop_map(|items| items.into_iter().unzip())
        .prop_map(|(skus, counts): (Vec<i64>, Vec<i64>)| lines(&skus, &counts).unwrap());
    let few = prop::sample::select(vec![(1, 3), (1, 4), (2, 1)])
        .prop_map(|(sku, count)| lines_of(sku, count));
    let request =
        (1i64..4, prop::option::of(prop::sample::select(vec!["a", "b"])), prop_oneof![lines, few]);
    prop::collection::vec(request, 1..40)
        .prop_map(|requests| (1..).zip(requests).map(numbered).collect())
}

fn lines_of(sku: i64, count: i64) -> Lines {
    lines(&[sku], &[count]).unwrap()
}

fn numbered(
    (order, (user, key, lines)): (i64, (i64, Option<&'static str>, Lines)),
) -> ReservationRequest {
    ReservationRequest {
        order: order.try_into().unwrap(),
        user: user.try_into().unwrap(),
        key: key.map(|key| key.try_into().unwrap()),
        lines,
    }
}

/// Decides one batch after another as with the database: each sees what the earlier ones wrote.
fn decide_in_batches(
    levels: &Levels,
    requests: &[ReservationRequest],
    sizes: &[usize],
) -> (Vec<Reservation>, BTreeMap<Sku, i64>) {
    let (mut available, mut by_key) = (stock(levels), ByKey::new());
    let (mut answers, mut reserved) = (Vec::new(), BTreeMap::new());
    let (mut rest, mut sizes) = (requests, sizes.iter().cycle());
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
        let decision = decide(available.clone(), by_key.clone(), batch);
        for (sku, count) in decision.reserved {
            *available.get_mut(&sku).unwrap() -= count;
            *reserved.entry(sku).or_default() += count;
        }
        for request in decision.granted.iter().map(|index| &batch[*index]) {
            if let Some(key) = &request.key {
                by_key.insert(
                    (request.user, key.clone()),
                    (request.order, Some(request.lines.clone())),
                );
            }
        }
        answers.extend(decision.answers);
        rest = later;
    }
    (answers, reserved)
}

proptest! {
    #[test]
    fn never_more_is_reserved_than_there_was(levels in levels(), requests in requests()) {
        let decision = decide(stock(&levels), ByKey::new(), &requests);
        prop_assert_eq!(decision.answers.len(), requests.len());
        let available = stock(&levels);
        for (sku, reserved) in &decision.reserved {
            prop_assert!(*reserved <= available[sku]);
        }
        let mut granted = BTreeMap::<Sku, i64>::new();
        for line in decision.granted.iter().flat_map(|index| requests[*index].lines.iter()) {
            *granted.entry(line.sku).or_default() += i64::from(line.count);
        }
        prop_assert_eq!(granted, decision.reserved);
    }

    /// The result of a request depends only on the order of requests, not on how the group commit
    /// batches them.
    #[test]
    fn requests_get_the_same_in_one_batch_in_several_and_one_by_one(
        levels in levels(),
        requests in requests(),
        sizes in prop::collection::vec(1usize..12, 1..8),
    ) {
        let one_by_one = decide_in_batches(&levels, &requests, &[1]);
        prop_assert_eq!(&decide_in_batches(&levels, &requests, &[requests.len()]), &one_by_one);
        prop_assert_eq!(&decide_in_batches(&levels, &requests, &sizes), &one_by_one);
    }

    /// A request is refused because of a SKU only if that SKU is really short.
    #[test]
    fn who_is_refused_could_not_be_served_from_what_those_before_left(levels in levels(), requests in requests()) {
        let decision = decide(stock(&levels), ByKey::new(), &requests);
        let mut left = stock(&levels);
        for (index, request) in requests.iter().enumerate() {
            if decision.granted.contains(&index) {
                for line in request.lines.iter() {
                    *left.get_mut(&line.sku).unwrap() -= i64::from(line.count);
                }
            }
            let short = |line: &Line| left.get(&line.sku).is_none_or(|left| *left < i64::from(line.count));
            if let Reservation::Short { shortages } = &decision.answers[index] {
                prop_assert!(!shortages.is_empty());
                for shortage in shortages {
                    let line = request.lines.iter().find(|line| line.sku == shortage.sku);
                    prop_assert!(line.is_some_and(short));
                }
            }
        }
    }
}
