//! Kafka away: orders go on, and their events follow.

use std::collections::BTreeSet;

use dev::testing::Signal;

use crate::support::{EventReader, Kind, PrivateServers, Settings, Shop, new_user_on};

/// Pays one order and cancels another on each shard.
async fn trade(shop: &Shop, sku: u32) -> Vec<i64> {
    let loms = shop.loms.client();
    let mut orders = Vec::new();
    for shard in [0, 1] {
        let (paid, cancelled) = (new_user_on(shard), new_user_on(shard));
        let paid = loms.create(paid, &[(sku, 1)]).await.unwrap();
        loms.pay(paid).await.unwrap();
        let cancelled = loms.create(cancelled, &[(sku, 1)]).await.unwrap();
        loms.cancel(cancelled).await.unwrap();
        orders.extend([paid, cancelled]);
    }
    orders
}

/// A fault may repeat an event, never lose one or change the order.
fn assert_complete(events: &mut EventReader, orders: &[i64]) {
    for order in orders {
        events.until(&format!("all events of order {order}"), |seen| {
            seen.iter().any(|event| event.value["id"] == *order && event.value["sequence"] == 3)
        });
        let mut ids = BTreeSet::new();
        let seen = events.of_order(*order, 3);
        let first_seen = seen.iter().filter(|event| ids.insert(event.header("ce_id").to_owned()));
        let sequence: Vec<i64> = first_seen.map(|event| event.step().0).collect();
        assert_eq!(sequence, [1, 2, 3], "order {order}");
    }
}

#[tokio::test]
async fn orders_succeed_while_kafka_is_frozen_or_dead_and_their_events_follow() {
    let private = PrivateServers::prepare();
    let mut kafka = private.kafka().await.unwrap();
    let shop = Shop::start(&private.in_place_of(&[Kind::Kafka]), Settings::default()).await;
    let sku = shop.loms.stock(1000).await;
    let mut orders = trade(&shop, sku).await;
    let mut events = shop.loms.events();
    assert_complete(&mut events, &orders);

    kafka.signal(Signal::SIGSTOP).unwrap();
    orders.extend(trade(&shop, sku).await);
    kafka.signal(Signal::SIGCONT).unwrap();
    assert_complete(&mut events, &orders);

    kafka.kill().unwrap();
    orders.extend(trade(&shop, sku).await);
    let _kafka = private.kafka().await.unwrap();
    let mut events = shop.loms.events();
    assert_complete(&mut events, &orders);
    for order in orders {
        for state in ["NEW", "AWAITING_PAYMENT"] {
            let told = shop.notifier.tells(order, state).await;
            assert_eq!(told.len(), 1, "order {order} is told once: {told:#?}");
        }
    }
}
