//! Consuming: commits offsets only after the effect, retries until it succeeds, and loses nothing
//! when partitions move.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::Ordering;
use std::time::Duration;

use dev::testing::{Servers, eventually, unique_topic};
use kafka_actors::{ConsumerHandle, ConsumerOptions, Record};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use shared_actors::actor::Arbiters;
use shared_actors::health::Health;

use crate::support::{Memory, SOON, consumer, producer, records, sample, transactional};

#[actix::test]
async fn what_the_sink_cannot_take_comes_again_until_it_can() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 1).await;
    producer(&broker).publish(records(&topic.name, "", 50)).await.unwrap();
    let memory = Memory::failing(4);
    let reader = consumer(&broker, &topic.name, &memory);
    let values = memory.hold(50).await;
    let expected: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    assert_eq!(values, expected, "once each, in order");
    assert!(memory.asked.load(Ordering::SeqCst) > 4);
    reader.drain().await;
}

#[actix::test]
async fn a_group_goes_on_where_it_stopped_and_not_before_what_was_not_done() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 2).await;
    let publisher = producer(&broker);
    publisher.publish(records(&topic.name, "a", 20)).await.unwrap();
    let first = Memory::default();
    let reader = consumer(&broker, &topic.name, &first);
    first.hold(20).await;
    reader.drain().await;

    publisher.publish(records(&topic.name, "b", 20)).await.unwrap();
    let failing = Memory::failing(usize::MAX);
    let reader = consumer(&broker, &topic.name, &failing);
    eventually(SOON, "the sink is asked", async || failing.asked.load(Ordering::SeqCst) > 0).await;
    reader.drain().await;
    assert!(failing.values().is_empty());

    let last = Memory::default();
    let reader = consumer(&broker, &topic.name, &last);
    let values = last.hold(20).await;
    assert!(values.iter().all(|value| value.starts_with('b')), "{values:?}");
    reader.drain().await;
}

#[actix::test]
async fn records_that_fill_the_queue_follow_each_other_without_a_pause() {
    const RECORDS: usize = 60;
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 1).await;
    let mut hasher = DefaultHasher::new();
    let mut random = || {
        hasher.write_u8(1);
        hasher.finish().to_le_bytes()
    };
    // Cannot be compressed, and so large that a fetch returns one of them.
    let value: Vec<u8> = (0..90_000).flat_map(|_| random()).collect();
    let publisher = producer(&broker);
    for n in 0..RECORDS {
        let record = Record::new(&topic.name, n.to_string(), value.clone());
        publisher.publish(vec![record]).await.unwrap();
    }
    let memory = Memory::default();
    let mut options = ConsumerOptions::new(&broker, &topic.name, &topic.name);
    (options.max_records, options.max_bytes) = (1, 1);
    let reader = ConsumerHandle::start(options, Arbiters::new(0).pick(0), memory.clone());
    // With a pause of a second between two fills of the queue, this would take most of a minute.
    eventually(SOON, "the records are there", async || memory.records().len() >= RECORDS).await;
    reader.drain().await;
}

#[actix::test]
async fn commits_are_counted_when_they_have_ended() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 1).await;
    let memory = Memory::default();
    let reader = consumer(&broker, &topic.name, &memory);
    let committed = |outcome: &str| {
        sample(&format!(
            "kafka_consumer_commits_total{{outcome=\"{outcome}\",topic=\"{}\"}}",
            topic.name
        ))
    };
    assert_eq!((committed("ok"), committed("error")), (Some(0.0), Some(0.0)));
    producer(&broker).publish(records(&topic.name, "", 10)).await.unwrap();
    memory.hold(10).await;
    eventually(SOON, "a commit is counted", async || {
        committed("ok").is_some_and(|count| count > 0.0)
    })
    .await;
    assert_eq!(committed("error"), Some(0.0));
    reader.drain().await;
}

#[actix::test]
async fn a_slow_sink_keeps_its_partitions() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 1).await;
    let publisher = producer(&broker);
    publisher.publish(records(&topic.name, "", 10)).await.unwrap();
    // The sink's retries take about 100 + 200 + … ms. That is longer than the reader's patience, so
    // fetching pauses.
    let memory = Memory::failing(5);
    let reader = consumer(&broker, &topic.name, &memory);
    eventually(SOON, "the sink is asked", async || memory.asked.load(Ordering::SeqCst) > 0).await;
    publisher.publish(records(&topic.name, "more ", 10)).await.unwrap();
    let values = memory.hold(20).await;
    assert_eq!(values.len(), 20, "once each: {values:?}");
    assert!(values[10..].iter().all(|value| value.starts_with("more")), "in order: {values:?}");
    reader.drain().await;
}

#[actix::test]
async fn consumers_of_a_group_share_and_a_rebalance_loses_nothing() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 2).await;
    let publisher = producer(&broker);
    let (left, right) = (Memory::default(), Memory::default());
    let first = consumer(&broker, &topic.name, &left);
    publisher.publish(records(&topic.name, "", 200)).await.unwrap();
    left.hold(200).await;

    let second = consumer(&broker, &topic.name, &right);
    let mut published = 200;
    eventually(SOON, "both have work", async || {
        publisher.publish(records(&topic.name, &format!("{published}-"), 10)).await.unwrap();
        published += 10;
        !right.values().is_empty()
    })
    .await;
    let before = published;
    for _ in 0..5 {
        publisher.publish(records(&topic.name, &format!("{published}-"), 10)).await.unwrap();
        published += 10;
    }
    let seen = || left.values().into_iter().chain(right.values()).collect::<BTreeSet<String>>();
    eventually(SOON, "all is seen", async || {
        if seen().len() == published { Ok(()) } else { Err(seen().len()) }
    })
    .await;
    assert!(published > before && left.values().len() < published, "the second takes its share");

    second.drain().await;
    publisher.publish(records(&topic.name, "last ", 10)).await.unwrap();
    published += 10;
    eventually(SOON, "all is seen", async || {
        if seen().len() == published { Ok(()) } else { Err(seen().len()) }
    })
    .await;
    let total = left.values().len() + right.values().len();
    assert_eq!(total, published, "an orderly rebalance repeats nothing");
    assert!(in_order(&left) && in_order(&right));
    first.drain().await;
}

/// Whether the offsets of each partition increase.
fn in_order(memory: &Memory) -> bool {
    let mut last: HashMap<i32, i64> = HashMap::new();
    memory.records().iter().all(|record| {
        last.insert(record.partition, record.offset).is_none_or(|before| before < record.offset)
    })
}

#[actix::test]
async fn a_topic_that_comes_later_is_waited_for() {
    let broker = Servers::from_env().kafka;
    // This topic exists only to provide a name, and to delete the other topic at the end.
    let topic = unique_topic(&broker, 1).await;
    let name = topic.dead_letters();
    let health = Health::new();
    let options = ConsumerOptions::new(&broker, &name, &name).component(health.component("kafka"));
    let memory = Memory::default();
    let reader = ConsumerHandle::start(
        options,
        shared_actors::actor::Arbiters::new(0).pick(0),
        memory.clone(),
    );
    eventually(SOON, "it says that the topic is missing", async || {
        health.report()[0].reason.clone().filter(|reason| reason.contains("does not exist"))
    })
    .await;
    producer(&broker).publish(records(&name, "", 3)).await.unwrap();
    memory.hold(3).await;
    eventually(Duration::from_secs(5), "it is ready", async || health.is_ready()).await;
    reader.drain().await;
}

#[actix::test]
async fn the_lag_is_what_the_broker_has_and_the_sink_has_not_done() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 1).await;
    let publisher = producer(&broker);
    let memory = Memory::default();
    memory.block();
    let reader = consumer(&broker, &topic.name, &memory);
    publisher.publish(records(&topic.name, "first ", 10)).await.unwrap();
    memory.is_asked().await;
    publisher.publish(records(&topic.name, "more ", 30)).await.unwrap();
    let shows = async |lag: f64, offset: f64| {
        let shown = ["kafka_consumer_lag", "kafka_consumer_offset"]
            .map(|name| sample(&format!("{name}{{partition=\"0\",topic=\"{}\"}}", topic.name)));
        if shown == [Some(lag), Some(offset)] { Ok(()) } else { Err(shown) }
    };
    eventually(SOON, "all of it waits", async || shows(40.0, 0.0).await).await;
    memory.unblock();
    eventually(SOON, "nothing waits", async || shows(0.0, 40.0).await).await;
    reader.drain().await;
}

#[actix::test]
async fn a_group_is_not_behind_the_end_of_a_transaction() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 1).await;
    let publisher = transactional(&broker, &format!("{}-relay-0", topic.name));
    publisher.fence().await.unwrap();
    publisher.publish(records(&topic.name, "", 5)).await.unwrap();
    let memory = Memory::default();
    let reader = consumer(&broker, &topic.name, &memory);
    memory.hold(5).await;
    let as_a_tool: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &broker)
        .set("group.id", &topic.name)
        .create()
        .unwrap();
    eventually(SOON, "the group's offset is the end", async || {
        let (_, end) = as_a_tool.fetch_watermarks(&topic.name, 0, SOON).unwrap();
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&topic.name, 0);
        let known = as_a_tool.committed_offsets(asked, SOON).unwrap();
        let committed = known.elements()[0].offset();
        if committed == Offset::Offset(end) { Ok(()) } else { Err((committed, end)) }
    })
    .await;
    reader.drain().await;
}
