//! Publishes a batch of events. It isolates events that Kafka refuses for good, and publishes the
//! rest in order.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_actors::{ProducerError, ProducerHandle};
use service_kit::shard::ShardIndex;
use shared_actors::actor::Backoff;
use tokio::time::sleep;

use super::event::OrderEvent;

/// Why an event waits for an earlier one that was refused.
pub(super) const HELD: &str = "an earlier event of the order was refused";

/// How often a part of a refused batch is retried. After a refusal the producer may need a new
/// epoch. Starting over with the whole batch would meet the same refusal.
const RETRIES: u32 = 4;
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(50), max: Duration::from_millis(500) };

/// Events that are not published, by order and sequence, with the reasons.
pub(super) type Refused = BTreeMap<(i64, i32), String>;

/// Where events are published.
pub(super) struct Destination<'a> {
    pub producer: &'a ProducerHandle,
    pub topic: &'a str,
    pub shard: ShardIndex,
}

/// Publishes the events, in one transaction unless Kafka refuses it, and returns those that Kafka
/// refuses for good. Later events of the same orders are held back, so that the events of each
/// order stay in sequence.
///
/// Kafka refuses a batch as a whole, and may name the wrong record. The batch is halved until a
/// refused event is alone.
pub(super) async fn publish(
    to: &Destination<'_>,
    events: &[OrderEvent],
) -> Result<Refused, ProducerError> {
    let mut refused = Refused::new();
    // A stack: the last part is published next.
    let mut parts = vec![events];
    let mut failures = 0;
    while let Some(part) = parts.pop() {
        let mut records = Vec::with_capacity(part.len());
        let mut told = Vec::with_capacity(part.len());
        for event in part {
            let key = (event.order, event.sequence);
            if refused.range((event.order, 0)..=(event.order, i32::MAX)).next().is_some() {
                refused.entry(key).or_insert_with(|| HELD.to_owned());
                continue;
            }
            match event.to_record(to.topic, to.shard) {
                Ok(record) => {
                    records.push(record);
                    told.push(key);
                }
                Err(error) => {
                    refused.insert(key, error.to_string());
                }
            }
        }
        match to.producer.publish(records).await {
            Ok(()) => failures = 0,
            Err(ProducerError::Rejected { reason, .. } | ProducerError::TooMuch { reason }) => {
                if let [alone] = told[..] {
                    refused.insert(alone, reason);
                } else {
                    assert!(part.len() > 1, "one event cannot be halved");
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
            Err(ProducerError::Unavailable { .. })
                if part.len() < events.len() && failures < RETRIES =>
            {
                failures += 1;
                sleep(BACKOFF.wait(failures)).await;
                parts.push(part);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}
