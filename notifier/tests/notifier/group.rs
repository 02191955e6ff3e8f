//! The consumer group: members of another system, and partitions that come later.

use std::time::Duration;

use dev::testing::{eventually, free_port};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use serde_json::Value;

use crate::delivery::assert_in_order;
use crate::support::{MemoryChannel, SOON, World, event};

/// A member of the group that knows only the strategy `range`, as most other clients do.
fn other_member(world: &World, group: &str) -> BaseConsumer {
    let env = world.env(group);
    let group = env.iter().find(|(name, _)| name == "KAFKA_GROUP_ID").map(|(_, group)| group);
    ClientConfig::new()
        .set("bootstrap.servers", &world.topic.host_port)
        .set("group.id", group.map_or("", String::as_str))
        .set("partition.assignment.strategy", "range")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap_or_else(|error| panic!("{error}"))
}

#[actix::test]
async fn a_notifier_waits_for_members_of_another_protocol_and_goes_on_where_they_stopped() {
    let world = World::new().await;
    let of_before = [event(1000, 1, "NEW"), event(1000, 2, "AWAITING_PAYMENT")];
    world.publish(&of_before).await;
    let other = other_member(&world, "migrated");
    assert!(other.subscribe(&[&world.topic.name]).is_ok());
    let mut read = 0;
    eventually(SOON, "the other member has read all", async || {
        if let Some(Ok(message)) = other.poll(Duration::from_millis(100)) {
            assert!(other.commit_message(&message, CommitMode::Sync).is_ok());
            read += 1;
        }
        read == of_before.len()
    })
    .await;

    let mut env = world.env("migrated");
    env.retain(|(name, _)| name != "HTTP_PORT");
    env.push(("HTTP_PORT".to_owned(), free_port().to_string()));
    let mut notifier = dev::testing::ServiceProcess::launch("notifier", &env);
    eventually(SOON, "the log says what it waits for", async || {
        other.poll(Duration::from_millis(10));
        notifier.log().contains("Inconsistent group protocol")
    })
    .await;
    world.publish(&[event(1000, 3, "PAYED")]).await;
    drop(other);
    notifier.ready().await;
    let line = "order 1000 of user 7 is now";
    eventually(SOON, "the next notification is sent", async || notifier.log().contains(line)).await;
    assert_eq!(notifier.terminate().await.code(), Some(0));
    assert_eq!(notifier.log().matches(line).count(), 1, "{}", notifier.log());
    assert!(notifier.log().contains("PAYED (event 3)"));
}

#[actix::test]
async fn partitions_that_are_added_while_notifiers_lag_are_read_too() {
    let world = World::new().await;
    let (left, right, third) =
        (MemoryChannel::default(), MemoryChannel::default(), MemoryChannel::default());
    let orders: Vec<i64> = (1..=60).map(|order| order * 1000).collect();
    let round = |sequence, state: &str| -> Vec<Value> {
        orders.iter().map(|order| event(*order, sequence, state)).collect()
    };
    world.publish(&round(1, "NEW")).await;
    let admin: Result<AdminClient<DefaultClientContext>, _> =
        ClientConfig::new().set("bootstrap.servers", &world.topic.host_port).create();
    let admin = admin.unwrap_or_else(|error| panic!("{error}"));
    let notifiers = [&left, &right, &third].map(|channel| world.start("shared", channel));
    let more = NewPartitions::new(&world.topic.name, 4);
    let added = admin.create_partitions([&more], &AdminOptions::new()).await;
    assert!(added.is_ok_and(|outcomes| outcomes.iter().all(Result::is_ok)));
    let sent = || [left.sent(), right.sent(), third.sent()].concat();
    let all = async |count: usize| {
        eventually(SOON, "every notification is sent", async || {
            let sent = sent().len();
            if sent >= count { Ok(()) } else { Err(sent) }
        })
        .await;
    };
    // An order's later events may go to another partition than its first one, so it must be sent.
    all(60).await;
    eventually(SOON, "the producer knows the new partitions", async || {
        world.partitions(&world.topic.name) == Ok(4)
    })
    .await;
    world.publish(&round(2, "AWAITING_PAYMENT")).await;
    all(120).await;
    world.publish(&round(3, "PAYED")).await;
    all(180).await;
    for notifier in notifiers {
        notifier.stop().await;
    }
    let mut each = sent();
    each.sort_unstable();
    each.dedup();
    assert_eq!((each.len(), sent().len()), (180, 180), "each once");
    for channel in [&left, &right, &third] {
        assert_in_order(&channel.sent());
    }
}
