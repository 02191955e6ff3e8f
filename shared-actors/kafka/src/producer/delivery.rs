//! Sends records and waits for their outcomes. Everything here may block.

use std::thread;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::oneshot::Canceled;
use futures::stream::FuturesUnordered;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::future_producer::{DeliveryFuture, OwnedDeliveryResult};
use rdkafka::producer::{FutureRecord, Producer};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use super::failure::FailedRecord;
use super::session::Client;
use crate::record::Record;

/// Sends the records, and waits until all are acknowledged or the first one fails. After a failure
/// the rest of the transaction is never sent, so there is nothing to wait for.
pub(super) fn send_all(
    client: &Client,
    records: &[Record],
    deadline: Instant,
) -> Result<(), FailedRecord> {
    let failed = |index| move |error| FailedRecord { index, error };
    let mut deliveries = FuturesUnordered::new();
    for (index, record) in records.iter().enumerate() {
        let delivery = send(client, record).map_err(failed(index))?;
        deliveries.push(async move { settled(delivery.await).map_err(failed(index)) });
    }
    let all = async {
        let mut purged = Ok(());
        while let Some(outcome) = deliveries.next().await {
            match outcome {
                // Purged because another record failed, whose error is still to come.
                Err(failed) if failed.is_purged() => purged = Err(failed),
                outcome => outcome?,
            }
        }
        purged
    };
    let all = Handle::current().block_on(async { timeout_at(deadline, all).await });
    all.unwrap_or_else(|_| Err(failed(0)(KafkaError::Canceled)))
}

/// Sends the records independently of each other, and waits for the outcome of each.
pub(super) fn send_each(
    client: &Client,
    records: &[Record],
    deadline: Instant,
) -> Vec<Result<(), FailedRecord>> {
    let sent: Vec<_> = records.iter().map(|record| send(client, record)).collect();
    let settle = |(index, sent): (usize, KafkaResult<DeliveryFuture>)| {
        sent.and_then(|delivery| reported(delivery, deadline))
            .map_err(|error| FailedRecord { index, error })
    };
    sent.into_iter().enumerate().map(settle).collect()
}

fn send(client: &Client, record: &Record) -> KafkaResult<DeliveryFuture> {
    let native = FutureRecord {
        topic: &record.topic,
        partition: None,
        payload: record.payload.as_deref(),
        key: record.key.as_deref(),
        timestamp: None,
        headers: Some(record.headers.to_native()),
    };
    client.send_result::<[u8], [u8]>(native).map_err(|(error, _)| error)
}

/// Waits for the outcome of a record. A client that misses the deadline has lost the thread that
/// reports outcomes.
fn reported(delivery: DeliveryFuture, deadline: Instant) -> KafkaResult<()> {
    let outcome = Handle::current().block_on(async { timeout_at(deadline, delivery).await });
    outcome.map_or(Err(KafkaError::Canceled), settled)
}

fn settled(report: Result<OwnedDeliveryResult, Canceled>) -> KafkaResult<()> {
    match report {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((error, _))) => Err(error),
        Err(Canceled) => Err(KafkaError::Canceled),
    }
}

/// Waits until librdkafka has released every acknowledged record. That happens some microseconds
/// after it reports the acknowledgement. A commit that finds a record left sleeps for 100 ms.
pub(super) fn until_settled(client: &Client) {
    let deadline = Instant::now() + Duration::from_millis(50);
    while client.in_flight_count() > 0 && Instant::now() < deadline {
        thread::sleep(Duration::from_micros(100));
    }
}
