//! Each notification is sent once, and those of one order in sequence, no matter which notifier
//! reads an event or how often.

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
    assert_eq!(world.count("received_orders").await, 1);
    assert_eq!(world.count("deliveries where status = 'sent'").await, 3);
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
    eventually(SOON, "every notification is sent", async || {
        if total() >= expected { Ok(()) } else { Err(total()) }
    })
    .await;
    second.stop().await;
    assert_eq!(total(), expected, "each once");
    let sent = world.count("deliveries where status = 'sent'").await;
    assert_eq!(sent, i64::try_from(expected).unwrap());
    for channel in [&left, &right] {
        assert_in_order(&channel.sent());
    }
}

pub fn assert_in_order(sent: &[(i64, u32)]) {
    let mut last: HashMap<i64, u32> = HashMap::new();
    for (order, sequence) in sent {
        let before = last.insert(*order, *sequence);
        assert!(before.is_none_or(|before| before < *sequence), "order {order}: {sent:?}");
    }
}

#[actix::test]
async fn a_slow_or_dead_channel_delays_neither_the_topic_nor_the_other_channels() {
    let world = World::new().await;
    let fast = MemoryChannel::named("fast");
    let slow = MemoryChannel::slow(Duration::from_millis(150));
    let dead = MemoryChannel::named("dead");
    dead.fail(true);
    let stuck = MemoryChannel::named("stuck");
    stuck.stick(true);
    let events: Vec<Value> = (1..=100)
        .flat_map(|order| [event(order * 1000, 1, "NEW"), event(order * 1000, 2, "FAILED")])
        .collect();
    world.publish(&events).await;
    let channels = [fast.clone(), slow.clone(), dead.clone(), stuck.clone()];
    let notifier = world.start_with("one", &[], &channels);
    fast.holds(200).await;
    assert!(slow.sent().len() < 200, "it is slower");
    let done = ["0", "1"].map(|partition| {
        format!("kafka_consumer_lag{{partition=\"{partition}\",topic=\"{}\"}} 0", world.topic.name)
    });
    eventually(SOON, "all is read and committed", async || {
        let metrics = service_kit::metrics::render();
        done.iter().all(|line| metrics.contains(line))
    })
    .await;
    assert_eq!((dead.sent().len(), stuck.sent().len()), (0, 0));
    dead.fail(false);
    stuck.stick(false);
    for channel in &channels {
        assert_in_order(&channel.holds(200).await);
    }
    notifier.stop().await;
    for channel in &channels {
        assert_eq!(channel.sent().len(), 200, "each once");
    }
    assert_eq!(world.count("deliveries where status = 'sent'").await, 800);
}

#[actix::test]
async fn an_order_that_waits_for_a_retry_delays_no_other_order_and_is_not_overtaken_by_itself() {
    let world = World::new().await;
    let channel = MemoryChannel::refusing(1000);
    let notifier = world.start("one", &channel);
    world.publish(&[event(1000, 1, "NEW"), event(1000, 2, "FAILED"), event(2000, 1, "NEW")]).await;
    assert_eq!(channel.holds(1).await, [(2000, 1)]);
    let letters = world.dead_letters(2).await;
    let events: Vec<Value> = letters
        .iter()
        .map(|letter| serde_json::from_slice(letter.payload.as_deref().unwrap()).unwrap())
        .collect();
    assert_eq!((&events[0]["sequence"], &events[1]["sequence"]), (&1.into(), &2.into()));
    assert_eq!(channel.sent().len(), 1);
    notifier.stop().await;
}

#[actix::test]
async fn deliveries_of_a_notifier_that_is_gone_are_sent_by_another_one() {
    let world = World::new().await;
    let (left, right) = (MemoryChannel::default(), MemoryChannel::default());
    left.fail(true);
    world.publish(&[event(1000, 1, "NEW"), event(1000, 2, "FAILED")]).await;
    let first = world.start("one", &left);
    eventually(SOON, "it was tried", async || *left.failures.lock().unwrap() > 0).await;
    first.stop().await;
    let second = world.start("another", &right);
    assert_eq!(right.holds(2).await, [(1000, 1), (1000, 2)]);
    second.stop().await;
    assert_eq!((left.sent().len(), right.sent().len()), (0, 2));
}

#[actix::test]
async fn what_the_previous_version_has_handled_is_not_sent_again() {
    let world = World::new().await;
    let (old, new) = (event(1000, 1, "NEW"), event(1000, 2, "AWAITING_PAYMENT"));
    let channel = MemoryChannel::default();
    let notifier = world.start("one", &channel);
    world.publish(&[event(2000, 1, "NEW")]).await;
    channel.holds(1).await;
    let event_id = old["eventId"].as_str().unwrap();
    world.execute_with("insert into inbox values ($1::text::uuid, 1000, 1, 'NEW')", event_id).await;
    world.publish(&[old, new]).await;
    channel.holds(2).await;
    notifier.stop().await;
    let mut sent = channel.sent();
    sent.sort_unstable();
    assert_eq!(sent, [(1000, 2), (2000, 1)]);
}

#[actix::test]
async fn a_notification_that_is_too_old_becomes_a_dead_letter() {
    let world = World::new().await;
    let channel = MemoryChannel::default();
    channel.fail(true);
    let notifier =
        world.start_with("one", &[("NOTIFICATION_TTL", "1s")], std::slice::from_ref(&channel));
    world.publish(&[event(1000, 1, "NEW")]).await;
    let letters = world.dead_letters(1).await;
    let header = |name| letters[0].headers.text(name);
    assert_eq!(header("x-error-reason"), Some("not sent within 1s: out of order"));
    assert_eq!(header("x-channel"), Some("memory"));
    assert!(header("x-attempts").is_some_and(|attempts| attempts.parse::<u32>().unwrap() > 0));
    assert_eq!(world.count("deliveries where status = 'dead'").await, 1);
    notifier.stop().await;
}

#[actix::test]
async fn everything_that_is_too_old_becomes_a_dead_letter_although_few_attempts_are_made() {
    let world = World::new().await;
    let channel = MemoryChannel::default();
    channel.fail(true);
    let ttl = [("NOTIFICATION_TTL", "3s")];
    let notifier = world.start_with("one", &ttl, std::slice::from_ref(&channel));
    let events: Vec<Value> = (1..=300).map(|order| event(order * 1000, 1, "NEW")).collect();
    world.publish(&events).await;
    let letters = world.dead_letters(300).await;
    notifier.stop().await;
    assert_eq!(world.count("deliveries where status = 'dead'").await, 300);
    let attempts = *channel.failures.lock().unwrap();
    assert!(attempts < 150, "{attempts} attempts");
    let tried = letters.iter().filter(|letter| {
        letter.headers.text("x-error-reason") == Some("not sent within 3s: out of order")
    });
    assert!(tried.count() > 0, "the reason of the last attempt");
}

#[actix::test]
async fn what_is_older_than_its_time_to_live_is_forgotten() {
    let world = World::new().await;
    let channel = MemoryChannel::default();
    let notifier = world.start("one", &channel);
    world.publish(&[event(1000, 1, "NEW"), event(2000, 1, "NEW")]).await;
    channel.holds(2).await;
    notifier.stop().await;
    let order = async |order| {
        let received = format!("received_orders where order_id = {order}");
        let sent = format!("deliveries where status = 'sent' and order_id = {order}");
        (world.count(&received).await, world.count(&sent).await)
    };
    assert_eq!((order(1000).await, order(2000).await), ((1, 1), (1, 1)));
    for (order, days) in [(1000, "31"), (2000, "29")] {
        for statement in [
            "update received_orders set first_received_at = now() - $1 * interval '1 day', \
                last_received_at = now() - $1 * interval '1 day' where order_id = $2",
            "update deliveries set ended_at = now() - $1 * interval '1 day' where order_id = $2",
        ] {
            world.backdate(statement, days.parse().unwrap(), order).await;
        }
    }
    let notifier = world.start("one", &channel);
    eventually(SOON, "the old order is gone", async || order(1000).await == (0, 0)).await;
    assert_eq!(order(2000).await, (1, 1));
    notifier.stop().await;
}
