//! The relay of one shard: takes the lease, then reads, publishes and deletes events until it loses it or is ended.

use std::time::Duration;

use shared_actors::actor::Backoff;
use shared_actors::crash_point;
use shared_actors::kafka::{self, ProducerError, ProducerHandle, Record};
use shared_actors::settings::DatabaseSettings;
use shared_actors::shard::ShardIndex;
use shared_actors::telemetry::{self, TraceContext};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument, Span};

use super::event::OrderEvent;
use super::lease::{HEARTBEAT, Lease};
use super::metrics::RelayMetrics;
use super::queries::{self, Waiting};

const BACKOFF: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) };

/// How often a transaction of Kafka's is begun at the most while there is less to publish than one of them takes. It
/// costs as much for one event as for hundreds: an idle relay publishes at once, a busy one lets events gather.
const GATHERING: Duration = Duration::from_millis(40);

/// How long a relay that is ended waits for what it is publishing. What is acknowledged later will be published twice.
const LAST_PUBLICATION: Duration = Duration::from_secs(5);

/// What a relay is made of.
pub struct RelayParts {
    /// The shard whose events it publishes.
    pub shard: ShardIndex,
    /// The shard's primary.
    pub database: DatabaseSettings,
    /// Where the events go.
    pub topic: String,
    /// Who publishes; transactional under an id of this shard, so that an earlier holder of the lease cannot.
    pub producer: ProducerHandle,
    /// How often to look into the outbox when nobody says that there is something.
    pub interval: Duration,
    /// Turns true when the databases of all shards are ready to be used.
    pub prepared: watch::Receiver<bool>,
}

pub(super) struct Relay {
    parts: RelayParts,
    metrics: RelayMetrics,
    wake: Notify,
    finish: watch::Sender<bool>,
}

/// Why a relay that held the lease does so no more.
enum Ended {
    Finished,
    /// Another instance publishes now.
    Fenced,
}

impl Relay {
    pub fn new(parts: RelayParts) -> Self {
        let metrics = RelayMetrics::new(parts.shard);
        Self { parts, metrics, wake: Notify::new(), finish: watch::Sender::new(false) }
    }

    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Lets [`Self::run`] return as soon as nothing is being published.
    pub fn finish(&self) {
        self.finish.send_replace(true);
    }

    pub async fn run(&self) {
        let mut prepared = self.parts.prepared.clone();
        tokio::select! {
            ready = prepared.wait_for(|ready| *ready) => if ready.is_err() { return },
            () = self.finished() => return,
        }
        let mut failures = 0;
        while !self.is_finished() {
            let started = Instant::now();
            let served = self.serve_once().await;
            self.metrics.lost();
            match served {
                Ok(Ended::Finished) => return,
                Ok(Ended::Fenced) => tracing::info!(shard = %self.parts.shard, "another instance relays now"),
                Err(error) => {
                    tracing::warn!(%error, shard = %self.parts.shard, "the relay has no connection to the outbox");
                }
            }
            failures = if started.elapsed() > BACKOFF.max { 1 } else { failures + 1 };
            self.rest(BACKOFF.wait(failures)).await;
        }
    }

    /// Waits for the lease, then publishes for as long as it is held.
    async fn serve_once(&self) -> Result<Ended, sqlx::Error> {
        let mut lease = Lease::connect(&self.parts.database).await?;
        while !lease.take().await? {
            self.rest(HEARTBEAT).await;
            if self.is_finished() {
                lease.close().await;
                return Ok(Ended::Finished);
            }
        }
        tracing::info!(shard = %self.parts.shard, "this instance relays the shard's events");
        crash_point!("relay::leased");
        let ended = self.serve(&mut lease).await?;
        lease.close().await;
        Ok(ended)
    }

    async fn serve(&self, lease: &mut Lease) -> Result<Ended, sqlx::Error> {
        let mut failures = 0;
        let mut alone = false;
        let mut measured = Instant::now();
        while !self.is_finished() {
            if !alone {
                // Who has lost the lease meanwhile must not take the transactional id from its new holder.
                lease.measure(&self.metrics).await?;
                let fence = self.until_finished(Duration::ZERO, self.parts.producer.fence());
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
            let Waiting { rows, mut events, unknown } = queries::read(lease.connection()).await?;
            self.metrics.holder.set(1);
            if !unknown.is_empty() {
                let (shard, count) = (self.parts.shard, unknown.len());
                tracing::error!(%shard, count, first = ?unknown[0], "events of which no order knows are set aside");
                queries::set_aside(lease.connection(), &unknown).await?;
            }
            if rows.is_empty() {
                self.metrics.waiting(0, 0.0);
                lease.hold_while(&self.metrics, self.pause(self.parts.interval)).await?;
                continue;
            }
            crash_point!("relay::read");
            if events.is_empty() {
                queries::delete(lease.connection(), &rows).await?;
                continue;
            }
            // What was not published at once has been created already.
            let span = if failures == 0 { trace(&self.parts.topic, &mut events) } else { Span::none() };
            let publish = self.parts.producer.publish(self.records(&events)).instrument(span.clone());
            let publish = self.until_finished(LAST_PUBLICATION, publish);
            match lease.hold_while(&self.metrics, publish).await? {
                Some(Ok(())) => {
                    crash_point!("relay::published");
                    queries::delete(lease.connection(), &rows).instrument(span).await?;
                    crash_point!("relay::deleted");
                    self.metrics.published(&events);
                    failures = 0;
                    if events.len() < queries::BATCH_EVENTS {
                        let gathering = GATHERING.saturating_sub(begun.elapsed());
                        lease.hold_while(&self.metrics, self.rest(gathering)).await?;
                    }
                }
                Some(Err(error)) => {
                    telemetry::failed(&span, "not published");
                    if error == ProducerError::Fenced {
                        return Ok(Ended::Fenced);
                    }
                    // The publication may still be under way, or the producer be a new one.
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

    fn records(&self, events: &[OrderEvent]) -> Vec<Record> {
        let record = |event: &OrderEvent| event.to_record(&self.parts.topic, self.parts.shard);
        // Numbers and strings always have a JSON form.
        events.iter().filter_map(|event| record(event).ok()).collect()
    }

    async fn back_off(
        &self,
        lease: &mut Lease,
        failures: &mut u32,
        error: &ProducerError,
    ) -> Result<(), sqlx::Error> {
        *failures += 1;
        let wait = BACKOFF.wait(*failures);
        tracing::warn!(%error, shard = %self.parts.shard, ?wait, "events are not published, once more");
        lease.hold_while(&self.metrics, self.rest(wait)).await
    }

    /// Returns when woken or ended, after `limit` at the latest.
    async fn pause(&self, limit: Duration) {
        tokio::select! {
            () = self.wake.notified() => {}
            () = self.rest(limit) => {}
        }
    }

    /// Returns when ended, after `limit` at the latest.
    async fn rest(&self, limit: Duration) {
        let _ = timeout(limit, self.finished()).await;
    }

    /// The result of `work`; `None` when the relay was ended and `work` was not done `grace` later.
    async fn until_finished<T>(&self, grace: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = async { self.finished().await; sleep(grace).await } => None,
        }
    }

    fn is_finished(&self) -> bool {
        *self.finish.borrow()
    }

    async fn finished(&self) {
        // The sender is our own: waiting cannot fail.
        let _ = self.finish.subscribe().wait_for(|finish| *finish).await;
    }
}

/// Gives each event the context of its creation, which lasted until now, and opens the span in which all are sent.
fn trace(topic: &str, events: &mut [OrderEvent]) -> Span {
    if !telemetry::is_exporting() {
        return Span::none();
    }
    let mut created = Vec::new();
    for event in events {
        let cause = event.traceparent.as_deref().and_then(TraceContext::parse);
        let (key, id) = (event.order.to_string(), event.event_id.to_string());
        if let Some(context) = kafka::trace::created(topic, &key, &id, event.occurred_at.into(), cause) {
            event.traceparent = Some(context.to_string());
            created.push(context);
        }
    }
    kafka::trace::sending(topic, &created)
}
