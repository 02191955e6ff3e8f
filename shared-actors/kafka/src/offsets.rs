//! How far a consumer group has read in a topic. For command-line tools.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::task::spawn_blocking;

use super::Brokers;
use super::client::{self, ClientReport};

/// How long the brokers may take to answer each request.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

impl ConsumerContext for ClientReport {}

/// Offsets by partition.
pub type Offsets = BTreeMap<i32, i64>;

/// A consumer group and its topic.
#[derive(Clone, Debug)]
pub struct GroupPosition {
    /// The brokers of the topic.
    pub brokers: Brokers,
    /// The group id.
    pub group: String,
    /// The topic name.
    pub topic: String,
}

impl GroupPosition {
    /// The offset after the last record of each partition that has records.
    ///
    /// # Errors
    /// The brokers do not answer, or the topic does not exist.
    pub async fn ends(&self) -> Result<Offsets, KafkaError> {
        self.ask(|client, topic| {
            let metadata = client.fetch_metadata(Some(topic), ANSWER_WITHIN)?;
            if let Some(error) = metadata.topics().iter().find_map(MetadataTopic::error) {
                return Err(KafkaError::MetadataFetch(error.into()));
            }
            let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
            let ids: Vec<i32> = partitions.map(MetadataPartition::id).collect();
            let mut ends = Offsets::new();
            for partition in ids {
                let (begin, end) = client.fetch_watermarks(topic, partition, ANSWER_WITHIN)?;
                if begin < end {
                    ends.insert(partition, end);
                }
            }
            Ok(ends)
        })
        .await
    }

    /// The offset from which the group continues in each of `partitions`. Partitions without a
    /// committed offset are absent.
    ///
    /// # Errors
    /// The brokers do not answer.
    pub async fn committed(&self, partitions: Vec<i32>) -> Result<Offsets, KafkaError> {
        self.ask(move |client, topic| {
            let mut asked = TopicPartitionList::with_capacity(partitions.len());
            for partition in partitions {
                asked.add_partition(topic, partition);
            }
            let known = client.committed_offsets(asked, ANSWER_WITHIN)?;
            let of_elements = known.elements().into_iter();
            Ok(of_elements
                .filter_map(|element| match element.offset() {
                    Offset::Offset(offset) => Some((element.partition(), offset)),
                    _ => None,
                })
                .collect())
        })
        .await
    }

    /// Asks on a thread of its own, because librdkafka blocks.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&BaseConsumer<ClientReport>, &str) -> KafkaResult<T> + Send + 'static,
    ) -> KafkaResult<T> {
        let mut config = client::config(&self.brokers, "offsets");
        config.set("group.id", &self.group).set("allow.auto.create.topics", "false");
        let topic = self.topic.clone();
        let answer = spawn_blocking(move || {
            let client: BaseConsumer<ClientReport> =
                config.create_with_context(ClientReport::new(None))?;
            question(&client, &topic)
        });
        answer.await.unwrap_or(Err(KafkaError::Canceled))
    }
}
