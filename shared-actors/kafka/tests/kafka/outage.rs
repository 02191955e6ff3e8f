//! A Kafka that starts after its clients, becomes unreachable, and comes back.

use std::time::{Duration, Instant};

use dev::stack::folders::Folders;
use dev::stack::kafka::{self, Listeners};
use dev::testing::{eventually, free_port};
use kafka_actors::{
    ConsumerHandle, ConsumerOptions, ProducerError, ProducerHandle, ProducerOptions, Record,
};
use shared_actors::actor::Arbiters;
use shared_actors::health::Health;

use crate::support::{Memory, SOON};

#[actix::test]
async fn clients_wait_for_kafka_and_go_on_when_it_is_there() {
    let (port, controller_port) = (free_port(), free_port());
    let broker = format!("127.0.0.1:{port}");
    let health = Health::new();
    let (consuming, producing) = (health.component("consumer"), health.component("producer"));
    let arbiters = Arbiters::new(0);
    let memory = Memory::default();
    let options = ConsumerOptions::new(&broker, "readers", kafka::TOPIC).component(consuming);
    let reader = ConsumerHandle::start(options, arbiters.pick(0), memory.clone());
    let options = ProducerOptions::new(&broker, "test")
        .transactional_id("relay")
        .delivery_timeout(Duration::from_secs(5))
        .component(producing);
    let publisher = ProducerHandle::start(options, arbiters.pick(0));
    let publish = async |value: &str| {
        publisher.fence().await?;
        publisher.publish(vec![Record::new(kafka::TOPIC, "1", value)]).await
    };

    let early = publish("too early").await;
    assert!(matches!(early, Err(ProducerError::Unavailable { .. })), "{early:?}");
    let says_so = async || {
        let report = health.report();
        let says_so = |reason: &String| reason.contains("no broker can be reached");
        let both = report.iter().all(|part| part.reason.as_ref().is_some_and(says_so));
        if both { Ok(()) } else { Err(report) }
    };
    eventually(SOON, "both say what they wait for", says_so).await;

    let folders = Folders::for_a_test_run().unwrap();
    let mut server = kafka::start(&Listeners::new(port, controller_port), &folders).await.unwrap();
    eventually(SOON, "both are ready", async || health.is_ready()).await;
    eventually(SOON, "it is published", async || publish("first").await).await;
    memory.hold(1).await;

    server.kill().unwrap();
    eventually(SOON, "both say that it is gone", says_so).await;
    let meanwhile = publish("meanwhile").await;
    assert!(matches!(meanwhile, Err(ProducerError::Unavailable { .. })), "{meanwhile:?}");

    let mut server = kafka::start(&Listeners::new(port, controller_port), &folders).await.unwrap();
    eventually(SOON, "it is published again", async || publish("second").await).await;
    eventually(SOON, "the second is read", async || {
        let values = memory.values();
        if values.last().is_some_and(|last| last == "second") { Ok(()) } else { Err(values) }
    })
    .await;
    // Twice is allowed: the broker may be killed before the first one's offset is committed.
    let mut values = memory.values();
    values.dedup();
    assert_eq!(values, ["first", "second"], "each of them, in order");
    eventually(SOON, "both are ready again", async || health.is_ready()).await;

    server.kill().unwrap();
    let started = Instant::now();
    reader.drain().await;
    publisher.drain().await;
    assert!(started.elapsed() < Duration::from_secs(10), "stopping does not wait for Kafka");
}
