//! Three brokers that replicate every record: one may die.
#![allow(clippy::unwrap_used, reason = "a test's helper fails the test by its panic")]

use std::cell::Cell;
use std::time::Duration;

use dev::testing::{KafkaCluster, eventually};
use futures::join;
use kafka_actors::{ProducerHandle, ProducerOptions};
use serde_json::Value;
use shared_actors::actor::Arbiters;

use crate::delivery::assert_in_order;
use crate::support::{MemoryChannel, World, event};

const STATES: [&str; 3] = ["NEW", "AWAITING_PAYMENT", "PAYED"];
/// Longer than a producer needs to find the new leader.
const PATIENCE: Duration = Duration::from_mins(1);

/// Publishes like the relay of loms: retries until it succeeds, and fences other producers with the
/// same id.
async fn publish(producer: &ProducerHandle, world: &World, events: &[Value]) {
    eventually(PATIENCE, "the events are published", async || {
        producer.fence().await?;
        producer.publish(events.iter().map(|event| world.record(event)).collect()).await
    })
    .await;
}

#[actix::test]
async fn a_broker_that_is_killed_under_load_loses_and_doubles_no_notification() {
    let mut cluster = KafkaCluster::start().await;
    let world = World::on(&cluster.brokers()).await;
    let options = ProducerOptions::new(cluster.brokers(), "relay")
        .transactional_id(format!("relay of {}", world.topic.name))
        .delivery_timeout(Duration::from_secs(5));
    let relay = ProducerHandle::start(options, Arbiters::new(0).pick(0));
    let (left, right) = (MemoryChannel::default(), MemoryChannel::default());
    let notifiers = [world.start("shared", &left), world.start("shared", &right)];

    let (order, stop) = (Cell::new(0_i64), Cell::new(false));
    let load = async {
        while !stop.get() {
            order.set(order.get() + 1);
            for (sequence, state) in (1..).zip(STATES) {
                publish(&relay, &world, &[event(order.get() * 1000, sequence, state)]).await;
            }
        }
    };
    let faults = async {
        let five_more = async |what: &str| {
            let before = order.get();
            eventually(PATIENCE, what, async || order.get() >= before + 5).await;
        };
        five_more("orders are published").await;
        // Brokers are numbered from 1.
        let broker = world.leader(&world.topic.name) - 1;
        cluster.kill(broker);
        five_more("orders are published without it").await;
        cluster.restart(broker).await;
        five_more("orders are published with it").await;
        stop.set(true);
    };
    join!(load, faults);

    let expected = usize::try_from(order.get()).unwrap() * STATES.len();
    let sent = || [left.sent(), right.sent()].concat();
    eventually(PATIENCE, "every notification is sent", async || {
        let sent = sent().len();
        if sent >= expected { Ok(()) } else { Err(format!("{sent} of {expected}")) }
    })
    .await;
    for notifier in notifiers {
        notifier.stop().await;
    }
    let mut sent = sent();
    assert_eq!(sent.len(), expected, "each once");
    sent.sort_unstable();
    sent.dedup();
    assert_eq!(sent.len(), expected, "each once");
    for channel in [&left, &right] {
        assert_in_order(&channel.sent());
    }
}
