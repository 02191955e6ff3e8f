//! The consumer as a member of its group: rebalances, commits and readiness.
//!
//! Most of this runs on the reader's thread, inside librdkafka's poll or outside it. Regular
//! commits run on the committer's thread.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use shared_actors::crash_point;
use tracing::{debug, info, warn};

use super::progress::{Mark, Progress};
use super::reader::Outcome;
use crate::client::ClientReport;
use crate::metrics::FAMILIES;
use crate::statistics::Statistics;

/// How long the revocation of partitions waits for the batch in progress.
const REVOKE_GRACE: Duration = Duration::from_secs(3);

/// The batch that the sink is processing.
pub(super) struct InFlight {
    pub outcome: Receiver<Outcome>,
    pub marks: HashMap<i32, Mark>,
}

/// The state of the batch that was last given to the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It is done, or there is no batch.
    Done,
    /// The sink is still processing it.
    Pending,
    /// This consumer will never finish it: no offset after it may be committed.
    GivenUp,
}

#[derive(Default)]
pub(super) struct State {
    pub progress: Progress,
    in_flight: Option<InFlight>,
    given_up: bool,
    paused: bool,
}

pub(super) struct Group {
    pub(super) topic: String,
    report: ClientReport,
    reachable: AtomicBool,
    committing: Mutex<()>,
    joined: AtomicBool,
    topic_missing: AtomicBool,
    state: Mutex<State>,
}

impl Group {
    pub fn new(topic: String, report: ClientReport) -> Self {
        Self {
            topic,
            report,
            reachable: AtomicBool::new(true),
            committing: Mutex::default(),
            joined: AtomicBool::new(false),
            topic_missing: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a record was read. Returns the mark after it, or `None` if its partition is not
    /// held.
    pub fn read(&self, partition: i32, offset: i64) -> Option<Mark> {
        self.topic_missing.store(false, Ordering::Relaxed);
        self.state().progress.read(partition, offset)
    }

    pub fn holds(&self, partition: i32, mark: Mark) -> bool {
        self.state().progress.holds(partition, mark)
    }

    pub fn topic_is_missing(&self) {
        if !self.topic_missing.swap(true, Ordering::Relaxed) {
            warn!(topic = self.topic, "the topic does not exist yet, waiting for it");
        }
    }

    pub fn begin(&self, in_flight: InFlight) {
        self.state().in_flight = Some(in_flight);
    }

    /// Waits up to `patience` for the batch in progress.
    pub fn settle(&self, patience: Duration) -> Settled {
        let mut state = self.state();
        let Some(in_flight) = state.in_flight.take() else {
            return if state.given_up { Settled::GivenUp } else { Settled::Done };
        };
        drop(state);
        let outcome = in_flight.outcome.recv_timeout(patience);
        let mut state = self.state();
        match outcome {
            Ok(Outcome::Done) => {
                for (partition, mark) in in_flight.marks {
                    state.progress.done(partition, mark);
                }
                Settled::Done
            }
            // The consumer is stopping, or its actor is dropped.
            Ok(Outcome::GivenUp) | Err(RecvTimeoutError::Disconnected) => {
                state.given_up = true;
                Settled::GivenUp
            }
            Err(RecvTimeoutError::Timeout) => {
                state.in_flight = Some(in_flight);
                Settled::Pending
            }
        }
    }

    /// Called when no records are in hand. Offsets after the last record that hold no record, such
    /// as the end of a transaction, count as done. Otherwise the group would seem to lag forever.
    pub fn caught_up(&self, consumer: &BaseConsumer<Self>) {
        let Ok(positions) = consumer.position() else { return };
        let mut state = self.state();
        for position in positions.elements_for_topic(&self.topic) {
            if let Offset::Offset(offset) = position.offset() {
                state.progress.caught_up(position.partition(), offset);
            }
        }
    }

    /// Stops fetching while the sink is slow; polling then only keeps the membership alive.
    pub fn pause(&self, consumer: &BaseConsumer<Self>, paused: bool) {
        self.state().paused = paused;
        let outcome = consumer
            .assignment()
            .and_then(|held| if paused { consumer.pause(&held) } else { consumer.resume(&held) });
        if let Err(error) = outcome {
            debug!(%error, paused, "partitions could not be paused or resumed");
        }
    }

    /// Commits finished offsets and waits for the broker, because librdkafka does not report how an
    /// asynchronous commit ended. Offsets that cannot be committed now are part of the next commit.
    pub fn commit(&self, consumer: &BaseConsumer<Self>) {
        if !self.is_reachable() {
            return;
        }
        // A revocation waits here for the commit in progress, and then commits what that one could
        // not.
        let _one_at_a_time = self.committing.lock().unwrap_or_else(PoisonError::into_inner);
        let done = self.state().progress.take_done();
        if done.is_empty() {
            return;
        }
        let mut offsets = TopicPartitionList::with_capacity(done.len());
        for (partition, offset) in &done {
            // Fails only for an invalid offset.
            let _ = offsets.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset));
        }
        crash_point!("consumer::done");
        let result = consumer.commit(&offsets, CommitMode::Sync);
        crash_point!("consumer::committed");
        let outcome = if result.is_ok() { "ok" } else { "error" };
        FAMILIES.consumer_commits.with_label_values(&[&self.topic, outcome]).inc();
        if let Err(error) = &result {
            debug!(%error, topic = self.topic, "offsets were not committed and will be part of the next commit");
        }
        if result.is_err() {
            self.state().progress.commit_failed(done);
        }
    }

    pub(super) fn is_reachable(&self) -> bool {
        self.reachable.load(Ordering::Relaxed)
    }

    fn not_ready(&self, statistics: &Statistics) -> Option<String> {
        if let Some(reason) = statistics.no_broker() {
            return Some(reason);
        }
        if self.topic_missing.load(Ordering::Relaxed) {
            return Some(format!("topic {} does not exist yet", self.topic));
        }
        let group = statistics.group.as_ref()?;
        if group.state != "up" {
            return Some(format!("the group's coordinator cannot be reached ({})", group.state));
        }
        // A later rebalance is normal and does not make the consumer unready.
        if !self.joined.load(Ordering::Relaxed) && group.join_state != "steady" {
            return Some("joining the group".to_owned());
        }
        self.joined.store(true, Ordering::Relaxed);
        None
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<i32> {
    list.elements()
        .iter()
        .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
        .collect()
}

impl ClientContext for Group {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        ClientReport::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        ClientReport::error(&error, reason);
    }

    fn stats_raw(&self, json: &[u8]) {
        let Some(statistics) = Statistics::parse(json) else { return };
        self.reachable.store(statistics.no_broker().is_none(), Ordering::Relaxed);
        match self.not_ready(&statistics) {
            None => self.report.ready(),
            Some(reason) => self.report.waiting(&reason),
        }
    }
}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(list) = rebalance else { return };
        if self.settle(REVOKE_GRACE) == Settled::Pending {
            info!(
                topic = self.topic,
                "partitions were revoked during a batch; their new owner will process it again"
            );
        }
        if !consumer.assignment_lost() {
            self.commit(consumer);
        }
        self.forget(partitions(list));
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let (change, list) = match rebalance {
            Rebalance::Assign(list) => ("assigned", list),
            Rebalance::Revoke(list) => ("revoked", list),
            Rebalance::Error(error) => {
                warn!(topic = self.topic, %error, "the rebalance failed");
                return;
            }
        };
        FAMILIES.consumer_rebalances.with_label_values(&[&self.topic, change]).inc();
        info!(topic = self.topic, partitions = ?partitions(list), "partitions {change}");
        if change == "assigned" {
            self.topic_missing.store(false, Ordering::Relaxed);
            self.joined.store(true, Ordering::Relaxed);
            let mut state = self.state();
            state.progress.assign(partitions(list));
            let paused = state.paused;
            drop(state);
            // A partition that was revoked while paused is still paused. Nothing else would ever
            // resume it.
            let outcome = if paused { consumer.pause(list) } else { consumer.resume(list) };
            if let Err(error) = outcome {
                debug!(%error, paused, "new partitions could not be paused or resumed");
            }
        }
    }
}
