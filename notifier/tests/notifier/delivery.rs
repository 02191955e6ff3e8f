//! Each event is notified once, in the order of its order's events, regardless of who reads it and
//! how often.

use std::collections::HashMap;
use std::time::Duration;

use dev::testing::eventually;
use serde_json::Value;

use crate::support::{MemoryChannel, SOON, World, event};

#[actix::test]
async fn an_event_is_notified_once_however_often_it_is_delivered() {
    let world = World::new().await;
    let channel = MemoryChannel::default();
    let first = event(1000, 1, "NEW");
    let second = event(1000, 2, "AWAITING_PAYMENT");
    world.publish(&[first.clone(), first.clone(), second.clone(), first.clone()]).await;
    let notifier = world.start("one", &channel);
    assert_eq!(channel.holds(2).await, [(1000, 1), (1000, 2)]);
    world.publish(&[second.clone(), first.clone()]).await;
    notifier.stop().await;

    // Another group reads everything from the beginning, which redelivers the whole topic.
    let last = event(1000, 3, "PAYED");
    world.publish(std::slice::from_ref(&last)).await;
    let again = world.start("another", &channel);
    channel.holds(3).await;
    again.stop().await;
    assert_eq!(channel.sent(), [(1000, 1), (1000, 2), (1000, 3)]);
    assert_eq!((world.count("inbox").await, world.count("notifications").await), (3, 3));
}

#[actix::test]
async fn notifiers_share_the_work_and_one_that_leaves_loses_and_repeats_nothing() {
    let world = World::new().await;
    let (left, right) = (MemoryChannel::default(), MemoryChannel::default());
    let orders: Vec<i64> = (1..=40).map(|n| n * 1000).collect();
    let round = |sequence: u32, state: &str| -> Vec<Value> {
        orders.iter().map(|order| event(*order, sequence, state)).collect()
    };
    let first = world.start("shared", &left);
    world.publish(&round(1, "NEW")).await;
    left.holds(40).await;
    let second = world.start("shared", &right);
    let mut sequence = 1;
    eventually(SOON, "the second one has its share", async || {
        sequence += 1;
        world.publish(&round(sequence, "AWAITING_PAYMENT")).await;
        !right.sent().is_empty()
    })
    .await;
    first.stop().await;
    sequence += 1;
    world.publish(&round(sequence, "PAYED")).await;
    let expected = orders.len() * sequence as usize;
    let total = || left.sent().len() + right.sent().len();
    eventually(
        SOON,
        "all is notified",
        async || if total() >= expected { Ok(()) } else { Err(total()) },
    )
    .await;
    second.stop().await;
    assert_eq!(total(), expected, "each once");
    assert_eq!(world.count("inbox").await, i64::try_from(expected).unwrap());
    for channel in [&left, &right] {
        let mut last: HashMap<i64, u32> = HashMap::new();
        for (order, sequence) in channel.sent() {
            assert!(
                last.insert(order, sequence).is_none_or(|before| before < sequence),
                "order {order}"
            );
        }
    }
}

#[actix::test]
async fn a_slow_channel_keeps_what_it_has_sent_while_it_goes_on() {
    let world = World::new().await;
    let channel = MemoryChannel::slow(Duration::from_millis(150));
    let events: Vec<Value> = (1..=60).map(|order| event(order * 1000, 1, "NEW")).collect();
    world.publish(&events).await;
    let notifier = world.start("one", &channel);
    channel.holds(1).await;
    let kept = async || world.count("inbox").await;
    let before_the_end = eventually(SOON, "some are kept", async || {
        let kept = kept().await;
        (kept > 0).then(|| channel.sent().len())
    })
    .await;
    assert!(before_the_end < 60, "one transaction would keep all at the end");
    channel.holds(60).await;
    eventually(SOON, "all are kept", async || kept().await == 60).await;
    notifier.stop().await;
    let mut sent = channel.sent();
    sent.sort_unstable();
    let expected: Vec<(i64, u32)> = (1..=60).map(|order| (order * 1000, 1)).collect();
    assert_eq!(sent, expected, "each once");
}

#[actix::test]
async fn what_is_older_than_its_time_to_live_is_forgotten() {
    let world = World::new().await;
    let channel = MemoryChannel::default();
    let notifier = world.start("one", &channel);
    world.publish(&[event(1000, 1, "NEW"), event(2000, 1, "NEW")]).await;
    channel.holds(2).await;
    notifier.stop().await;
    assert_eq!((world.count("inbox").await, world.count("notifications").await), (2, 2));
    world
        .execute("update inbox set received_at = now() - interval '31 days' where order_id = 1000")
        .await;
    world
        .execute("update inbox set received_at = now() - interval '29 days' where order_id = 2000")
        .await;
    let notifier = world.start("one", &channel);
    eventually(SOON, "the old event is gone", async || world.count("inbox").await == 1).await;
    assert_eq!(world.count("notifications").await, 1);
    assert_eq!(world.count("inbox where order_id = 2000").await, 1);
    notifier.stop().await;
}
