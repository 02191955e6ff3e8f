//! The relay of one shard: takes the lease, then reads, publishes and deletes events until it loses
//! the lease or is ended.

use std::time::Duration;

use kafka_actors::{ProducerError, ProducerHandle};
use service_kit::settings::DatabaseSettings;
use service_kit::shard::ShardIndex;
use shared_actors::actor::Backoff;
use shared_actors::crash_point;
use shared_actors::trace;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::event::OrderEvent;
use super::finish::Finish;
use super::lease::{HEARTBEAT, Lease};
use super::metrics::{RelayMetrics, SetAside};
use super::publication::{self, Destination, HELD, Refused};
use super::queries::{self, Waiting};
use super::recent::{CommittedRow, RecentEvents};
use super::spans;

const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };

/// Minimum time between two Kafka transactions while less than a full batch waits. A transaction
/// costs as much for one event as for hundreds. An idle relay publishes at once; a busy one lets
/// events gather.
const GATHERING: Duration = Duration::from_millis(40);

/// How often an idle relay polls the outbox. It is not notified of what other instances write.
const IDLE_POLL: Duration = Duration::from_millis(50);

/// How long a relay that is ending continues to publish waiting events. There may be no other
/// instance to do it soon.
const LAST_EVENTS: Duration = Duration::from_secs(3);

/// How long a relay that is ending waits for its current publication. Events acknowledged after
/// that will be published twice.
const LAST_PUBLICATION: Duration = Duration::from_secs(5);

/// The parts of a relay.
pub struct RelayParts {
    /// The shard whose events it publishes.
    pub shard: ShardIndex,
    /// The shard's primary.
    pub database: DatabaseSettings,
    /// The topic that it publishes to.
    pub topic: String,
    /// The producer. Its transactional id is that of the shard, which fences an earlier holder of
    /// the lease.
    pub producer: ProducerHandle,
    /// How often to poll the outbox if nothing wakes the relay. At most 50 ms; longer values are
    /// treated as 50 ms.
    pub interval: Duration,
    /// Becomes true when the shard's database is ready to be used.
    pub prepared: watch::Receiver<bool>,
}

pub(super) struct Relay {
    parts: RelayParts,
    metrics: RelayMetrics,
    recent: RecentEvents,
    wake: Notify,
    finish: Finish,
}

/// Why a relay that held the lease stopped publishing.
enum Ended {
    Finished,
    /// Another instance publishes now.
    Fenced,
}

impl Relay {
    pub fn new(parts: RelayParts) -> Self {
        let metrics = RelayMetrics::new(parts.shard);
        let recent = RecentEvents::default();
        Self { parts, metrics, recent, wake: Notify::new(), finish: Finish::new() }
    }

    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Keeps a copy of the events of a row, unless another instance will publish them.
    pub fn keep(&self, row: CommittedRow) {
        self.recent.keep(row);
    }

    /// Makes [`Self::run`] return once no events wait, or after a few seconds in any case.
    pub fn finish(&self) {
        self.finish.ask();
    }

    pub async fn run(&self) {
        let mut prepared = self.parts.prepared.clone();
        tokio::select! {
            ready = prepared.wait_for(|ready| *ready) => if ready.is_err() { return },
            () = self.finish.asked() => return,
        }
        let mut failures = 0;
        while !self.finish.is_asked() {
            let started = Instant::now();
            let served = self.serve_once().await;
            self.recent.want(false);
            self.metrics.lost();
            match served {
                Ok(Ended::Finished) => return,
                Ok(Ended::Fenced) => {
                    tracing::info!(shard = %self.parts.shard, "another instance publishes the events now");
                }
                Err(error) => {
                    tracing::warn!(%error, shard = %self.parts.shard, "the relay has no connection to the outbox");
                }
            }
            failures = if started.elapsed() > BACKOFF.max { 1 } else { failures + 1 };
            self.finish.rest(BACKOFF.wait(failures)).await;
        }
    }

    /// Waits for the lease, then publishes for as long as it is held.
    async fn serve_once(&self) -> Result<Ended, sqlx::Error> {
        let mut lease = Lease::connect(&self.parts.database).await?;
        while !lease.take().await? {
            self.finish.rest(HEARTBEAT).await;
            if self.finish.is_asked() {
                lease.close().await;
                return Ok(Ended::Finished);
            }
        }
        tracing::info!(shard = %self.parts.shard, "this instance publishes the shard's events");
        self.recent.want(true);
        crash_point!("relay::leased");
        let ended = self.serve(&mut lease).await?;
        lease.close().await;
        Ok(ended)
    }

    async fn serve(&self, lease: &mut Lease) -> Result<Ended, sqlx::Error> {
        let mut failures = 0;
        let mut alone = false;
        let mut measured = Instant::now();
        let RelayParts { producer, topic, shard, .. } = &self.parts;
        let to = Destination { producer, topic, shard: *shard };
        while !self.finish.is_overdue(LAST_EVENTS) {
            if !alone {
                if self.finish.is_asked() {
                    break;
                }
                // Checks the lease first: a relay that has lost it must not take the transactional
                // id from the new holder.
                lease.measure(&self.metrics).await?;
                let fence = self.finish.or(Duration::ZERO, self.parts.producer.fence());
                match lease.hold_while(&self.metrics, fence).await? {
                    Some(Ok(())) => {
                        crash_point!("relay::fenced");
                        alone = true;
                    }
                    Some(Err(error)) => self.back_off(lease, &mut failures, &error).await?,
                    None => {}
                }
                continue;
            }
            let begun = Instant::now();
            let Waiting { rows, mut events, unknown, held } =
                queries::read(lease.connection(), &self.recent).await?;
            self.metrics.holder.set(1);
            self.set_aside_unknown(lease, &unknown).await?;
            if rows.is_empty() {
                self.metrics.waiting(0, 0.0);
                if self.finish.is_asked() {
                    break;
                }
                let pause = self.pause(self.parts.interval.min(IDLE_POLL));
                lease.hold_while(&self.metrics, pause).await?;
                continue;
            }
            crash_point!("relay::read");
            let held = held.into_iter().map(|event| (event, HELD.to_owned())).collect();
            self.set_aside_refused(lease, &held).await?;
            if events.is_empty() {
                queries::delete(lease.connection(), &rows).await?;
                continue;
            }
            // After a failure, the events may already have creation spans, so none are created
            // again.
            let span = if failures == 0 {
                spans::sending(&self.parts.topic, &mut events)
            } else {
                Span::none()
            };
            let publish = publication::publish(&to, &events).instrument(span.clone());
            let publish = self.finish.or(LAST_PUBLICATION, publish);
            match lease.hold_while(&self.metrics, publish).await? {
                Some(Ok(refused)) => {
                    crash_point!("relay::published");
                    self.set_aside_refused(lease, &refused).await?;
                    queries::delete(lease.connection(), &rows).instrument(span).await?;
                    crash_point!("relay::deleted");
                    let told =
                        |event: &&OrderEvent| !refused.contains_key(&(event.order, event.sequence));
                    self.metrics.published(events.iter().filter(told));
                    failures = 0;
                    if events.len() < queries::BATCH_EVENTS {
                        let gathering = GATHERING.saturating_sub(begun.elapsed());
                        lease.hold_while(&self.metrics, self.finish.rest(gathering)).await?;
                    }
                }
                Some(Err(error)) => {
                    trace::failed(&span, "not published");
                    if error == ProducerError::Fenced {
                        return Ok(Ended::Fenced);
                    }
                    // The publication may still be in progress, or the producer may have been
                    // replaced.
                    alone = false;
                    self.back_off(lease, &mut failures, &error).await?;
                }
                None => {}
            }
            if measured.elapsed() > HEARTBEAT {
                lease.measure(&self.metrics).await?;
                measured = Instant::now();
            }
        }
        Ok(Ended::Finished)
    }

    async fn set_aside_unknown(
        &self,
        lease: &mut Lease,
        unknown: &[(i64, i32)],
    ) -> Result<(), sqlx::Error> {
        let Some(first) = unknown.first() else { return Ok(()) };
        let (shard, count) = (self.parts.shard, unknown.len());
        tracing::error!(%shard, count, ?first, "events that cannot be published as they are stored are set aside");
        queries::set_aside(lease.connection(), unknown).await?;
        self.metrics.set_aside(SetAside::Unknown, count);
        Ok(())
    }

    async fn set_aside_refused(
        &self,
        lease: &mut Lease,
        refused: &Refused,
    ) -> Result<(), sqlx::Error> {
        let Some((first, reason)) = refused.first_key_value() else { return Ok(()) };
        let (shard, count) = (self.parts.shard, refused.len());
        tracing::error!(%shard, count, ?first, reason, "events that Kafka refuses are set aside");
        queries::refuse(lease.connection(), refused).await?;
        let held = refused.values().filter(|reason| *reason == HELD).count();
        self.metrics.set_aside(SetAside::Held, held);
        self.metrics.set_aside(SetAside::Refused, count - held);
        Ok(())
    }

    async fn back_off(
        &self,
        lease: &mut Lease,
        failures: &mut u32,
        error: &ProducerError,
    ) -> Result<(), sqlx::Error> {
        *failures += 1;
        let wait = BACKOFF.wait(*failures);
        tracing::warn!(%error, shard = %self.parts.shard, ?wait, "publishing events failed, retrying");
        lease.hold_while(&self.metrics, self.finish.rest(wait)).await
    }

    /// Returns when woken or asked to end, or after `limit`.
    async fn pause(&self, limit: Duration) {
        tokio::select! {
            () = self.wake.notified() => {}
            () = self.finish.rest(limit) => {}
        }
    }
}
