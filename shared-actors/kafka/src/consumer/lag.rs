//! The lag of a consumer, measured against the end offsets that the brokers report. A consumer that
//! does not fetch cannot know its own lag.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use shared_actors::watchdog::Heartbeat;
use tracing::debug;

use super::group::Group;
use crate::metrics::FAMILIES;

/// How long the brokers may take to answer each request.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

impl Group {
    /// Updates the metrics of how far the partitions held here lag behind.
    pub fn measure(&self, consumer: &BaseConsumer<Self>, heartbeat: &Heartbeat) {
        if !self.is_reachable() {
            return;
        }
        let held: Vec<(i32, Option<i64>)> = self.state().progress.held().collect();
        for (partition, done) in held {
            heartbeat.beat();
            let measured = match measure(consumer, &self.topic, partition, done) {
                Ok(measured) => measured,
                Err(error) => {
                    debug!(%error, topic = self.topic, partition, "the lag cannot be measured");
                    return;
                }
            };
            let state = self.state();
            if state.progress.held().any(|(held, _)| held == partition) {
                let labels = [self.topic.as_str(), &partition.to_string()];
                FAMILIES.consumer_lag.with_label_values(&labels).set(measured.lag);
                FAMILIES.consumer_offset.with_label_values(&labels).set(measured.next);
            }
        }
    }

    /// Drops revoked partitions and their metrics. The new holder serves them from now on.
    pub(super) fn forget(&self, partitions: Vec<i32>) {
        let mut state = self.state();
        for partition in &partitions {
            let labels = [self.topic.as_str(), &partition.to_string()];
            // The series do not exist before the first measurement.
            let _ = FAMILIES.consumer_lag.remove_label_values(&labels);
            let _ = FAMILIES.consumer_offset.remove_label_values(&labels);
        }
        state.progress.revoke(partitions);
    }
}

/// One partition at the time of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Measured {
    /// Everything before this offset is done.
    next: i64,
    /// The number of offsets between `next` and the end.
    lag: i64,
}

/// Asks the brokers for the first and the end offset of `partition`. If nothing of it is done here,
/// also asks for the group's committed offset.
fn measure(
    consumer: &BaseConsumer<Group>,
    topic: &str,
    partition: i32,
    done: Option<i64>,
) -> KafkaResult<Measured> {
    let (begin, end) = consumer.fetch_watermarks(topic, partition, ANSWER_WITHIN)?;
    let next = match done {
        Some(done) => Some(done),
        None => committed(consumer, topic, partition)?,
    };
    Ok(between(begin, end, next))
}

fn committed(
    consumer: &BaseConsumer<Group>,
    topic: &str,
    partition: i32,
) -> KafkaResult<Option<i64>> {
    let mut asked = TopicPartitionList::with_capacity(1);
    asked.add_partition(topic, partition);
    let known = consumer.committed_offsets(asked, ANSWER_WITHIN)?;
    let offset = known.find_partition(topic, partition).map(|found| found.offset());
    Ok(match offset {
        Some(Offset::Offset(offset)) => Some(offset),
        _ => None,
    })
}

/// The group starts at the beginning if it has committed nothing, or an offset that does not exist
/// because the topic was re-created.
fn between(begin: i64, end: i64, next: Option<i64>) -> Measured {
    let next = next.filter(|next| (begin..=end).contains(next)).unwrap_or(begin);
    Measured { next, lag: end - next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_what_lies_before_the_end() {
        assert_eq!(between(0, 10, Some(7)), Measured { next: 7, lag: 3 });
        assert_eq!(between(0, 10, Some(10)).lag, 0);
        assert_eq!(between(4, 10, None), Measured { next: 4, lag: 6 }, "a new group");
        assert_eq!(between(4, 10, Some(2)).lag, 6, "the topic has forgotten what comes next");
        assert_eq!(between(0, 10, Some(50)).lag, 10, "a topic that was made again");
    }
}
