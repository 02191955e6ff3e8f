//! Faults that block a consumer for a while and take its partitions away. It reads them again
//! afterwards.

use std::time::Duration;

use dev::stack::folders::Folders;
use dev::stack::kafka::{self, Listeners};
use dev::testing::{Fault, Servers, Signal, eventually, free_port, unique_topic};
use kafka_actors::{ConsumerHandle, ConsumerOptions};
use shared_actors::actor::Arbiters;

use crate::support::{Memory, SOON, consumer, producer, records, sample};

fn rebalances(topic: &str, change: &str) -> f64 {
    let series =
        format!("kafka_consumer_rebalances_total{{change=\"{change}\",topic=\"{topic}\"}}");
    sample(&series).unwrap_or_default()
}

#[actix::test]
async fn a_partition_that_was_taken_away_from_a_blocked_consumer_is_read_when_it_comes_back() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 2).await;
    let publisher = producer(&broker);
    publisher.publish(records(&topic.name, "first ", 20)).await.unwrap();
    let (left, right) = (Memory::default(), Memory::default());
    left.block();
    let first = consumer(&broker, &topic.name, &left);
    left.is_asked().await;
    let second = consumer(&broker, &topic.name, &right);
    right.hold(1).await;
    left.unblock();
    left.hold(1).await;
    second.drain().await;

    publisher.publish(records(&topic.name, "last ", 20)).await.unwrap();
    Fault::passed("a blocked notifier whose partitions are reassigned")
        .normal_when("both partitions are read", async || {
            let last = left.values().iter().filter(|value| value.starts_with("last")).count();
            if last == 20 { Ok(()) } else { Err(last) }
        })
        .await;
    first.drain().await;
}

#[actix::test]
async fn a_consumer_that_loses_its_group_while_it_is_blocked_reads_on() {
    let (port, controller_port) = (free_port(), free_port());
    let broker = format!("127.0.0.1:{port}");
    let folders = Folders::for_a_test_run().unwrap();
    let mut server = kafka::start(&Listeners::new(port, controller_port), &folders).await.unwrap();
    let topic = unique_topic(&broker, 2).await;
    let publisher = producer(&broker);
    publisher.publish(records(&topic.name, "first ", 20)).await.unwrap();
    let memory = Memory::default();
    memory.block();
    let options = ConsumerOptions {
        session_timeout: Duration::from_secs(6),
        ..ConsumerOptions::new(&broker, &topic.name, &topic.name)
    };
    let reader = ConsumerHandle::start(options, Arbiters::new(0).pick(0), memory.clone());
    memory.is_asked().await;
    server.signal(Signal::SIGSTOP).unwrap();
    let lost = async || rebalances(&topic.name, "revoked") > 0.0;
    eventually(SOON, "the session times out", lost).await;
    memory.unblock();
    memory.hold(1).await;
    server.signal(Signal::SIGCONT).unwrap();

    let fault = Fault::passed("a simultaneous freeze of Kafka and the notifier's database");
    let publish = async || publisher.publish(records(&topic.name, "last ", 20)).await;
    eventually(SOON, "Kafka takes records", publish).await;
    fault
        .normal_when("both partitions are read", async || {
            let values = memory.values();
            let missing = (0..20).find(|n| !values.contains(&format!("last {n}")));
            missing.map_or(Ok(()), Err)
        })
        .await;
    reader.drain().await;
}
