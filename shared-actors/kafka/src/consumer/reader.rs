//! The reader's thread: polls librdkafka, collects batches, hands them to the sink and has them
//! committed when they are done.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use shared_actors::panic_point;
use shared_actors::watchdog::Heartbeat;
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

use super::ConsumerOptions;
use super::committer::Committer;
use super::group::{Group, InFlight, Settled};
use super::progress::Mark;
use crate::client;
use crate::client::ClientReport;
use crate::record::ReceivedRecord;

/// How long a poll may wait, and so how long a stop may go unnoticed.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long the sink may take before fetching pauses. From then on, polling only keeps the
/// membership alive.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an idle reader waits between two requests to commit, which also retry failed commits.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// A batch on its way to the sink.
pub(super) struct Delivery {
    pub records: Arc<[ReceivedRecord]>,
    pub outcome: SyncSender<Outcome>,
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The sink has processed it: its offsets may be committed.
    Done,
    /// The consumer stopped before the sink finished.
    GivenUp,
}

/// A record in hand, and the mark after it.
struct Collected {
    record: ReceivedRecord,
    mark: Mark,
}

pub(super) struct Reader {
    options: ConsumerOptions,
    report: ClientReport,
    deliveries: mpsc::Sender<Delivery>,
    stop: watch::Receiver<bool>,
}

impl Reader {
    pub fn new(
        options: ConsumerOptions,
        deliveries: mpsc::Sender<Delivery>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let report = ClientReport::new(options.component.clone());
        Self { options, report, deliveries, stop }
    }

    /// Reads until it is stopped. A client that fails is replaced by a new one.
    pub fn run(self) {
        let heartbeat = Heartbeat::start("kafka_consumer", self.options.longest_call());
        let mut failures = 0;
        while !self.stopped() {
            let started = Instant::now();
            let Err(error) = self.consume(&heartbeat) else { return };
            failures = if started.elapsed() > self.options.backoff.max { 1 } else { failures + 1 };
            let wait = self.options.backoff.wait(failures);
            self.report.waiting(&error.to_string());
            warn!(topic = self.options.topic, %error, ?wait, "the consumer failed and will be rebuilt");
            let until = Instant::now() + wait;
            while Instant::now() < until && !self.stopped() {
                heartbeat.beat();
                thread::sleep(POLL_INTERVAL.min(wait));
            }
        }
    }

    fn stopped(&self) -> bool {
        *self.stop.borrow() || self.deliveries.is_closed()
    }

    fn consume(&self, heartbeat: &Heartbeat) -> KafkaResult<()> {
        let group = Group::new(self.options.topic.clone(), self.report.clone());
        let consumer: BaseConsumer<Group> = config(&self.options).create_with_context(group)?;
        let consumer = Arc::new(consumer);
        consumer.subscribe(&[&self.options.topic])?;
        let group = Arc::clone(consumer.context());
        let committer = Committer::start(Arc::clone(&consumer), self.options.longest_call())?;
        let mut in_hand = Vec::new();
        let mut next_commit = Instant::now();
        while !self.stopped() {
            panic_point!("consumer::reading");
            self.collect(&consumer, &mut in_hand)?;
            heartbeat.beat();
            in_hand.retain(|Collected { record, mark }| group.holds(record.partition, *mark));
            if !in_hand.is_empty() {
                let batch = std::mem::take(&mut in_hand);
                if self.hand_on(&consumer, batch, &mut in_hand, heartbeat)? == Settled::GivenUp {
                    break;
                }
                committer.wake()?;
            } else if Instant::now() >= next_commit {
                group.caught_up(&consumer);
                committer.wake()?;
                next_commit = Instant::now() + COMMIT_INTERVAL;
            }
        }
        // `drop` leaves the group, which revokes the partitions; the revocation commits what is
        // done.
        Ok(())
    }

    /// Takes the records that are available, and waits only if there are none.
    fn collect(
        &self,
        consumer: &BaseConsumer<Group>,
        in_hand: &mut Vec<Collected>,
    ) -> KafkaResult<()> {
        let mut bytes: usize = in_hand.iter().map(|collected| collected.record.size_bytes()).sum();
        while in_hand.len() < self.options.max_records && bytes < self.options.max_bytes {
            let wait = if in_hand.is_empty() { POLL_INTERVAL } else { Duration::ZERO };
            if !self.poll(consumer, wait, in_hand)? {
                break;
            }
            bytes += in_hand.last().map_or(0, |last| last.record.size_bytes());
        }
        Ok(())
    }

    /// Polls once. Returns whether a record was read.
    fn poll(
        &self,
        consumer: &BaseConsumer<Group>,
        wait: Duration,
        in_hand: &mut Vec<Collected>,
    ) -> KafkaResult<bool> {
        let message = match consumer.poll(wait) {
            None => return Ok(false),
            Some(Err(error)) => return self.tolerate(consumer, error).map(|()| false),
            Some(Ok(message)) => message,
        };
        if let Some(mark) = consumer.context().read(message.partition(), message.offset()) {
            in_hand.push(Collected { record: ReceivedRecord::copy_of(&message), mark });
            return Ok(true);
        }
        Ok(false)
    }

    /// Ignores errors that librdkafka recovers from by itself; health reports them. Returns the
    /// others.
    fn tolerate(&self, consumer: &BaseConsumer<Group>, error: KafkaError) -> KafkaResult<()> {
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return Err(error);
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                consumer.context().topic_is_missing();
            }
            Some(
                RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::InconsistentGroupProtocol,
            ) => {
                return Err(error);
            }
            _ => debug!(topic = self.options.topic, %error, "error while polling"),
        }
        Ok(())
    }

    /// Gives the batch to the sink and waits until it is done. Polling continues if that takes
    /// long, so that the group does not consider this member dead. A record that arrives meanwhile
    /// stays in hand for the next batch.
    fn hand_on(
        &self,
        consumer: &BaseConsumer<Group>,
        batch: Vec<Collected>,
        in_hand: &mut Vec<Collected>,
        heartbeat: &Heartbeat,
    ) -> KafkaResult<Settled> {
        let (outcome, settled) = sync_channel(1);
        let marks: HashMap<i32, Mark> =
            batch.iter().map(|collected| (collected.record.partition, collected.mark)).collect();
        let records = batch.into_iter().map(|collected| collected.record).collect();
        let group = consumer.context();
        group.begin(InFlight { outcome: settled, marks });
        // This fails if the actor is dropped. The outcome is then dropped too, and the batch is
        // given up.
        let _ = self.deliveries.blocking_send(Delivery { records, outcome });
        let mut settled = group.settle(PATIENCE);
        if settled == Settled::Pending {
            group.pause(consumer, true);
            while settled == Settled::Pending {
                self.poll(consumer, POLL_INTERVAL, in_hand)?;
                heartbeat.beat();
                settled = group.settle(Duration::ZERO);
            }
            group.pause(consumer, false);
        }
        Ok(settled)
    }
}

fn config(options: &ConsumerOptions) -> ClientConfig {
    let mut config = client::config(&options.brokers, &options.client_id);
    let queued_kbytes = (options.max_bytes * 2 / 1024).max(1024);
    // Librdkafka counts the bytes of values only, so the number of records bounds those with large
    // headers.
    let queued_records = (options.max_records / 4).max(1);
    config
        .set("group.id", &options.group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("allow.auto.create.topics", "false")
        .set("session.timeout.ms", options.session_timeout.as_millis().to_string())
        .set("heartbeat.interval.ms", (options.session_timeout / 4).as_millis().to_string())
        .set("max.poll.interval.ms", "60000")
        .set("queued.min.messages", queued_records.to_string())
        .set("queued.max.messages.kbytes", queued_kbytes.to_string())
        // A full queue postpones the next fetch, by default for a second, even if the queue is
        // emptied sooner.
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.error.backoff.ms", "100");
    config
}
