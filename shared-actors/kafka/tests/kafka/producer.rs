//! Publishing: all or nothing, one holder per transactional id, and fast enough.

use std::time::{Duration, Instant};

use dev::testing::{Servers, unique_topic};
use kafka_actors::{Headers, ProducerError, Record};

use crate::support::{Memory, consumer, producer, records, transactional};

#[actix::test]
async fn a_publication_in_a_transaction_is_there_as_a_whole_or_not_at_all() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 2).await;
    let producer = transactional(&broker, &format!("{}-relay-0", topic.name));
    let early = producer.publish(records(&topic.name, "early ", 1)).await;
    assert_eq!(early, Err(ProducerError::NotFenced));
    producer.fence().await.unwrap();
    let too_large = Record::new(&topic.name, "x", vec![0; 2 << 20]);
    let mut doomed = records(&topic.name, "doomed ", 20);
    doomed.push(too_large);
    let refused = producer.publish(doomed).await;
    assert!(matches!(refused, Err(ProducerError::Rejected { index: 20, .. })), "{refused:?}");
    producer.publish(records(&topic.name, "whole ", 20)).await.unwrap();

    let memory = Memory::default();
    let reader = consumer(&broker, &topic.name, &memory);
    let values = memory.hold(20).await;
    assert!(values.iter().all(|value| value.starts_with("whole")), "{values:?}");
    assert_eq!(values.len(), 20);
    reader.drain().await;
    producer.drain().await;
}

#[actix::test]
async fn a_record_arrives_as_it_was_sent() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 1).await;
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers =
        Headers::new().with("ce_id", "7").with_traceparent(Some(traceparent)).with("empty", "");
    let sent = Record::new(&topic.name, "1000", "value").with_headers(headers.clone());
    producer(&broker).publish(vec![sent]).await.unwrap();

    let memory = Memory::default();
    let reader = consumer(&broker, &topic.name, &memory);
    memory.hold(1).await;
    let received = &memory.records()[0];
    assert_eq!(
        (received.topic.as_str(), received.partition, received.offset),
        (topic.name.as_str(), 0, 0)
    );
    assert_eq!(
        (received.key.as_deref(), received.payload.as_deref()),
        (Some(&b"1000"[..]), Some(&b"value"[..]))
    );
    assert_eq!(received.headers, headers);
    assert_eq!(received.headers.traceparent(), Some(traceparent));
    reader.drain().await;
}

#[actix::test]
async fn the_last_one_to_fence_is_the_only_one_to_publish() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 1).await;
    let id = format!("{}-relay-0", topic.name);
    let (old, new) = (transactional(&broker, &id), transactional(&broker, &id));
    old.fence().await.unwrap();
    old.publish(records(&topic.name, "old ", 3)).await.unwrap();
    new.fence().await.unwrap();
    let late = old.publish(records(&topic.name, "late ", 3)).await;
    assert_eq!(late, Err(ProducerError::Fenced));
    assert_eq!(
        old.publish(records(&topic.name, "late ", 3)).await,
        Err(ProducerError::Fenced),
        "and stays so"
    );
    new.publish(records(&topic.name, "new ", 3)).await.unwrap();
    old.fence().await.unwrap();
    old.publish(records(&topic.name, "old again ", 3)).await.unwrap();
    assert_eq!(new.publish(records(&topic.name, "late ", 3)).await, Err(ProducerError::Fenced));

    let memory = Memory::default();
    let reader = consumer(&broker, &topic.name, &memory);
    let values = memory.hold(9).await;
    assert!(values.iter().all(|value| !value.starts_with("late")), "{values:?}");
    reader.drain().await;
}

#[actix::test]
async fn a_transaction_takes_milliseconds_whatever_it_holds() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 2).await;
    let producer = transactional(&broker, &format!("{}-relay-0", topic.name));
    producer.fence().await.unwrap();
    producer.publish(records(&topic.name, "first ", 1)).await.unwrap();
    for count in [1, 500] {
        let mut times = Vec::new();
        for _ in 0..30 {
            let batch: Vec<Record> = records(&topic.name, &"x".repeat(250), count);
            let started = Instant::now();
            producer.publish(batch).await.unwrap();
            times.push(started.elapsed());
        }
        times.sort();
        let quarter = times[times.len() / 4];
        println!(
            "{count} records a transaction: 25% {quarter:?}, 90% {:?}",
            times[times.len() * 9 / 10]
        );
        // Tolerates a busy machine, but not librdkafka's wait of 100 ms, which would slow down each
        // transaction.
        assert!(quarter < Duration::from_millis(80), "{quarter:?}");
    }
    producer.drain().await;
}
