//! Which events an order has, in what order, and how often.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use futures::future::join_all;

use crate::support::{Event, Shop, new_user, new_user_on};

fn steps(events: &[Event]) -> Vec<(i64, String)> {
    events.iter().map(Event::step).collect()
}

fn expected(states: &[&str]) -> Vec<(i64, String)> {
    (1..).zip(states).map(|(sequence, state)| (sequence, (*state).to_owned())).collect()
}

#[tokio::test]
async fn every_change_of_an_order_is_one_event_and_nothing_else_is() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let sku = shop.loms.stock(100).await;
    let paid = loms.create(new_user_on(0), &[(sku, 1)]).await.unwrap();
    loms.pay(paid).await.unwrap();
    loms.pay(paid).await.unwrap();
    loms.cancel(paid).await.unwrap_err();
    let cancelled = loms.create(new_user_on(1), &[(sku, 1)]).await.unwrap();
    loms.cancel(cancelled).await.unwrap();
    loms.cancel(cancelled).await.unwrap();
    loms.pay(cancelled).await.unwrap_err();
    let user = new_user();
    loms.create(user, &[(sku, 1000)]).await.unwrap_err();
    let failed = shop.loms.orders_of(user).await[0].0;
    let open = loms.create(new_user(), &[(sku, 1)]).await.unwrap();
    let table = [
        (paid, ["NEW", "AWAITING_PAYMENT", "PAYED"].as_slice()),
        (cancelled, &["NEW", "AWAITING_PAYMENT", "CANCELLED"]),
        (failed, &["NEW", "FAILED"]),
        (open, &["NEW", "AWAITING_PAYMENT"]),
    ];
    let mut events = shop.loms.events();
    for (order, states) in table {
        assert_eq!(steps(&events.of_order(order, states.len())), expected(states), "order {order}");
    }
    // A duplicate would have arrived before the events of a later order.
    let later = loms.create(new_user_on(0), &[(sku, 1)]).await.unwrap();
    events.of_order(later, 2);
    for (order, states) in table {
        assert_eq!(steps(&events.of_order(order, states.len())), expected(states), "order {order}");
    }
}

#[tokio::test]
async fn events_of_many_concurrent_orders_come_once_each_and_in_order_within_one_partition() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let sku = shop.loms.stock(1000).await;
    let live = async |index: u32| {
        let order = loms.create(new_user_on(index % 2), &[(sku, 1)]).await.unwrap();
        if index.is_multiple_of(3) {
            loms.cancel(order).await.unwrap();
        } else {
            loms.pay(order).await.unwrap();
        }
        order
    };
    let orders: BTreeSet<i64> = join_all((0..150).map(live)).await.into_iter().collect();
    let mut reader = shop.loms.events();
    let ours = |event: &&Event| event.value["id"].as_i64().is_some_and(|id| orders.contains(&id));
    let seen = reader.until("450 events", |seen| seen.iter().filter(ours).count() >= 450);

    let mut by_order: BTreeMap<i64, Vec<&Event>> = BTreeMap::new();
    for event in seen.iter().filter(ours) {
        by_order.entry(event.order()).or_default().push(event);
    }
    for (order, events) in &by_order {
        let sequence: Vec<i64> = events.iter().map(|event| event.step().0).collect();
        assert_eq!(sequence, [1, 2, 3], "order {order}");
        assert!(events.iter().all(|event| event.partition == events[0].partition), "order {order}");
        assert!(events.is_sorted_by_key(|event| event.offset), "order {order}");
    }
    let ids: BTreeSet<_> =
        seen.iter().filter(ours).map(|event| event.value["eventId"].to_string()).collect();
    assert_eq!(ids.len(), 450);
    let partitions: BTreeSet<_> = seen.iter().filter(ours).map(|event| event.partition).collect();
    assert_eq!(partitions.len(), 2, "the orders spread over both partitions");
}

#[tokio::test]
async fn an_event_comes_within_a_second_of_the_answer() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let sku = shop.loms.stock(100).await;
    let mut answered = Vec::new();
    for _ in 0..5 {
        let order = loms.create(new_user(), &[(sku, 1)]).await.unwrap();
        answered.push((order, SystemTime::now()));
    }
    let mut events = shop.loms.events();
    let delays = answered.into_iter().map(|(order, answered)| {
        let delays = events.of_order(order, 2).into_iter().map(|event| {
            let produced = SystemTime::UNIX_EPOCH
                + Duration::from_millis(event.produced_at.try_into().unwrap());
            produced.duration_since(answered).unwrap_or_default()
        });
        delays.max().unwrap()
    });
    let delays: Vec<Duration> = delays.collect();
    // A machine that freezes for a moment delays some of the events, but not all.
    assert!(delays.iter().min() < Some(&Duration::from_secs(1)), "{delays:?} after the answers");
}
