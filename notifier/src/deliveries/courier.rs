//! The courier of one channel: claims deliveries that are due, has the channel send them, and
//! records how that ended.

use std::sync::Arc;
use std::time::Duration;

use actix::ArbiterHandle;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use kafka_actors::ReceivedRecord;
use service_kit::database::{DatabaseError, Pool};
use shared_actors::actor::{ActorOptions, Backoff, TaskHandle};
use shared_actors::{crash_point, trace};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{Instrument, debug, info, warn};

use super::delivery::{Delivery, DeliveryId};
use super::metrics::DeliveryMetrics;
use super::outcome::{Outcome, RetryLimits};
use super::queries::{self, Failed};
use crate::channels::{ChannelError, ChannelHandle};
use crate::dead_letters::letter_reason;

/// How often an idle courier looks for deliveries that nobody woke it for: retries that are due, and
/// those of a notifier that died.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The pause of the whole channel after it was unavailable.
const PAUSES: Backoff = Backoff { first: Duration::from_millis(250), max: Duration::from_secs(15) };
/// The pause before a claim that failed is retried.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);
/// The pauses before an outcome that could not be recorded is recorded again.
const DATABASE_RETRIES: Backoff =
    Backoff { first: Duration::from_millis(100), max: Duration::from_secs(2) };

/// How a courier works.
#[derive(Clone)]
pub struct Courier {
    /// Sends the notifications.
    pub channel: ChannelHandle,
    /// The database of the deliveries.
    pub pool: Pool,
    /// When a delivery is given up.
    pub limits: RetryLimits,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
}

/// The handle of a running courier. Cheap to clone.
#[derive(Clone)]
pub struct CourierHandle {
    task: TaskHandle,
    channel: ChannelHandle,
    wake: Arc<Notify>,
    stop: watch::Sender<bool>,
    /// Becomes true when the courier has stopped.
    ended: watch::Receiver<bool>,
}

impl Courier {
    /// Starts the courier on `arbiter`.
    pub fn start(self, arbiter: &ArbiterHandle) -> CourierHandle {
        // A name lives as long as the process, and there is one courier per channel.
        let name = Box::leak(format!("{}_courier", self.channel.name()).into_boxed_str());
        let (wake, stop) = (Arc::new(Notify::new()), watch::Sender::new(false));
        let (ends, ended) = watch::channel(false);
        let (channel, metrics) = (self.channel.clone(), DeliveryMetrics::new(self.channel.name()));
        let (woken, stopping) = (Arc::clone(&wake), stop.clone());
        let task = TaskHandle::start(ActorOptions::new(name), arbiter, move || {
            let shift = Shift {
                courier: self.clone(),
                metrics: metrics.clone(),
                wake: Arc::clone(&woken),
                stop: stopping.subscribe(),
                sending: FuturesUnordered::new(),
                failures: 0,
            };
            let ends = ends.clone();
            async move {
                shift.run().await;
                ends.send_replace(true);
            }
        });
        CourierHandle { task, channel, wake, stop, ended }
    }
}

impl CourierHandle {
    /// Tells the courier that there may be deliveries.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Claims no more deliveries, and returns when those in progress have ended and are recorded.
    pub async fn drain(&self) {
        self.stop.send_replace(true);
        // An error means that the task is gone, so there is nothing to wait for.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
        self.task.stop().await;
        self.channel.drain().await;
    }
}

/// An attempt that has ended.
type Ended = (Delivery, Result<(), ChannelError>);

/// A courier at work, from its start to its stop or panic.
struct Shift {
    courier: Courier,
    metrics: DeliveryMetrics,
    wake: Arc<Notify>,
    stop: watch::Receiver<bool>,
    sending: FuturesUnordered<LocalBoxFuture<'static, Ended>>,
    /// How many attempts in a row have found the channel unavailable.
    failures: u32,
}

impl Shift {
    async fn run(mut self) {
        let mut next_claim = Instant::now();
        loop {
            let stopping = *self.stop.borrow();
            if stopping && self.sending.is_empty() {
                return;
            }
            let free = if stopping { 0 } else { self.free() };
            if free > 0 && Instant::now() >= next_claim {
                let pause = self.claim(free).await;
                next_claim = Instant::now() + pause;
                continue;
            }
            tokio::select! {
                Some(ended) = self.sending.next() => {
                    let pause = self.record(ended).await;
                    next_claim = Instant::now() + pause;
                }
                () = self.wake.notified(), if free > 0 && self.failures == 0 => {
                    next_claim = Instant::now();
                }
                () = sleep_until(next_claim), if free > 0 => {}
                _ = self.stop.changed(), if !stopping => {}
            }
        }
    }

    /// How many deliveries to claim now. One at a time while the channel is unavailable. Otherwise
    /// none before a quarter of the places is free, which saves statements.
    fn free(&self) -> usize {
        let (all, taken) = (self.courier.channel.concurrency(), self.sending.len());
        let free = if self.failures > 0 { 1_usize } else { all }.saturating_sub(taken);
        if self.failures > 0 || free >= all.div_ceil(4) { free } else { 0 }
    }

    /// Claims up to `free` deliveries and begins to send them. Returns the pause before the next
    /// claim.
    async fn claim(&mut self, free: usize) -> Duration {
        let Courier { channel, pool, attempt_timeout, .. } = &self.courier;
        // An attempt begins at once, so the claim outlives it.
        let claim = *attempt_timeout * 2 + Duration::from_secs(5);
        let claimed = match queries::claim(pool, channel.name(), free, claim).await {
            Ok(claimed) => claimed,
            Err(error) => {
                let error = DatabaseError::from(error);
                warn!(channel = channel.name(), %error, "cannot claim deliveries, retrying");
                return DATABASE_PAUSE;
            }
        };
        crash_point!("courier::claimed");
        let more = claimed.len() == free;
        for delivery in claimed {
            let attempt = attempt(channel.clone(), delivery);
            self.sending.push(attempt.boxed_local());
        }
        if more { Duration::ZERO } else { POLL_INTERVAL }
    }

    /// Records how this attempt, and all others that have ended by now, ended. Returns the pause
    /// before the next claim.
    async fn record(&mut self, first: Ended) -> Duration {
        let mut ended = vec![first];
        while let Some(Some(next)) = self.sending.next().now_or_never() {
            ended.push(next);
        }
        crash_point!("courier::attempted");
        let (mut sent, mut retried, mut dead) = (Vec::new(), Vec::new(), Vec::new());
        for (delivery, attempt) in ended {
            self.count_failures(&attempt);
            let id = delivery.id;
            match Outcome::of(&delivery, attempt, self.courier.limits) {
                Outcome::Sent => {
                    self.metrics.sent(delivery.occurred_at);
                    sent.push(id);
                }
                Outcome::Retry { after, refused, reason } => {
                    debug!(order.id = id.order_id, reason, ?after, "the notification is retried");
                    self.metrics.retried();
                    retried.push(Failed { id, attempts: delivery.attempts, refused, after });
                }
                Outcome::Dead { reason } => {
                    let reason = letter_reason(reason);
                    let ReceivedRecord { topic, partition, offset, .. } = &delivery.record;
                    let channel = self.courier.channel.name();
                    warn!(parent: &delivery.span(channel), channel, topic, partition, offset, reason, "the notification becomes a dead letter");
                    self.metrics.dead_letter();
                    dead.push((id, reason));
                }
            }
        }
        self.recorded(&sent, &retried, &dead).await;
        crash_point!("courier::recorded");
        match self.failures {
            // Later events of the same orders may be sent now.
            0 => Duration::ZERO,
            failures => PAUSES.jittered(failures),
        }
    }

    fn count_failures(&mut self, attempt: &Result<(), ChannelError>) {
        let channel = self.courier.channel.name();
        match attempt {
            Err(ChannelError::Unavailable { reason, .. }) => {
                self.failures += 1;
                if self.failures == 1 {
                    warn!(channel, reason, "the channel is unavailable, retrying until it works");
                }
            }
            Ok(()) | Err(ChannelError::Refused { .. }) => {
                if self.failures > 1 {
                    info!(channel, failures = self.failures, "the channel works again");
                }
                self.failures = 0;
            }
        }
    }

    /// Retries until everything is recorded. Meanwhile nothing else is claimed.
    async fn recorded(
        &self,
        sent: &[DeliveryId],
        retried: &[Failed],
        dead: &[(DeliveryId, String)],
    ) {
        let Courier { channel, pool, .. } = &self.courier;
        let name = channel.name();
        let record = async || {
            if !sent.is_empty() {
                queries::sent(pool, name, sent).await?;
            }
            if !retried.is_empty() {
                queries::retry_later(pool, name, retried).await?;
            }
            if !dead.is_empty() {
                queries::bury(pool, name, dead).await?;
            }
            Ok::<(), sqlx::Error>(())
        };
        let mut failures = 0;
        // Each statement can be repeated: it changes only deliveries that are still pending.
        while let Err(error) = record().await {
            failures += 1;
            if failures == 1 {
                let error = DatabaseError::from(error);
                warn!(channel = name, %error, "cannot record what was sent, retrying");
            }
            sleep(DATABASE_RETRIES.jittered(failures)).await;
        }
    }
}

/// One attempt to send a delivery.
async fn attempt(channel: ChannelHandle, delivery: Delivery) -> Ended {
    let span = delivery.span(channel.name());
    let attempt = async {
        match delivery.notification() {
            Ok(notification) => channel.send(notification).await,
            Err(reason) => Err(ChannelError::Refused { reason }),
        }
    };
    let attempt = attempt.instrument(span.clone()).await;
    if attempt.is_err() {
        trace::failed(&span, "not sent");
    }
    (delivery, attempt)
}
