//! A topic that is deleted and recreated is read from its beginning, regardless of the old topic's
//! commits.

use dev::testing::{Servers, unique_topic};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::support::{Memory, consumer, producer, records};

fn sorted(mut values: Vec<String>) -> Vec<String> {
    values.sort_unstable();
    values
}

fn expected(prefix: &str, count: usize) -> Vec<String> {
    sorted((0..count).map(|n| format!("{prefix}{n}")).collect())
}

#[actix::test]
async fn a_topic_that_is_made_again_is_read_from_its_beginning() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 2).await;
    let publisher = producer(&broker);
    let memory = Memory::default();
    let reader = consumer(&broker, &topic.name, &memory);
    publisher.publish(records(&topic.name, "old ", 50)).await.unwrap();
    memory.hold(50).await;
    for round in ["second ", "third "] {
        let before = memory.values().len();
        topic.recreate(2).await;
        producer(&broker).publish(records(&topic.name, round, 20)).await.unwrap();
        let values = memory.hold(before + 20).await;
        assert_eq!(sorted(values[before..].to_vec()), expected(round, 20));
    }
    reader.drain().await;
}

#[actix::test]
async fn a_topic_that_is_made_again_while_the_consumer_is_blocked_is_read_from_its_beginning() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 2).await;
    let memory = Memory::default();
    memory.block();
    let reader = consumer(&broker, &topic.name, &memory);
    producer(&broker).publish(records(&topic.name, "old ", 50)).await.unwrap();
    memory.is_asked().await;
    topic.recreate(2).await;
    producer(&broker).publish(records(&topic.name, "new ", 20)).await.unwrap();
    memory.unblock();
    let of_the_new =
        || memory.values().into_iter().filter(|value| value.starts_with("new")).collect();
    dev::testing::eventually(crate::support::SOON, "the new topic is read", async || {
        let values: Vec<String> = of_the_new();
        if values.len() >= 20 { Ok(()) } else { Err(values.len()) }
    })
    .await;
    assert_eq!(sorted(of_the_new()), expected("new ", 20));
    reader.drain().await;
}

#[actix::test]
async fn a_group_whose_offsets_lie_behind_the_end_begins_at_the_beginning() {
    let broker = Servers::from_env().kafka;
    let topic = unique_topic(&broker, 2).await;
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &broker)
        .set("group.id", &topic.name)
        .create()
        .unwrap();
    let mut offsets = TopicPartitionList::new();
    for partition in 0..2 {
        offsets.add_partition_offset(&topic.name, partition, Offset::Offset(1_000)).unwrap();
    }
    client.commit(&offsets, CommitMode::Sync).unwrap();
    let publisher = producer(&broker);
    publisher.publish(records(&topic.name, "first ", 20)).await.unwrap();
    let memory = Memory::default();
    let reader = consumer(&broker, &topic.name, &memory);
    assert_eq!(sorted(memory.hold(20).await), expected("first ", 20));
    reader.drain().await;

    publisher.publish(records(&topic.name, "second ", 20)).await.unwrap();
    let memory = Memory::default();
    let reader = consumer(&broker, &topic.name, &memory);
    assert_eq!(
        sorted(memory.hold(20).await),
        expected("second ", 20),
        "what was done is committed"
    );
    reader.drain().await;
}
