//! The courier of one channel: claims deliveries that are due, has the channel send them, and
//! records how that ended.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use kafka_actors::ReceivedRecord;
use service_kit::database::{DatabaseError, Pool};
use shared_actors::actor::{ActorOptions, ArbiterHandle, Backoff, StopSignal, TaskHandle};
use shared_actors::{crash_point, trace};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{Instrument, Span, debug, info, warn};

use super::delivery::{Delivery, DeliveryId};
use super::metrics::DeliveryMetrics;
use super::outcome::{MAX_RETRY_AFTER, Outcome, RetryLimits};
use super::queries::{self, Dead, Failed};
use crate::channels::{ChannelError, ChannelHandle};
use crate::dead_letters::letter_reason;

/// How often an idle courier polls for deliveries without a wake-up: retries that are due, and
/// deliveries of a notifier that died.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// The pause before a few free places are filled.
const FEW_FREE: Duration = Duration::from_millis(50);
/// How much longer than an attempt a claim lasts: recording the outcome may take this long. If a
/// notifier is killed, the others wait this long before they take over.
const CLAIM_MARGIN: Duration = Duration::from_secs(10);
/// How many deliveries that are too old become dead letters in one statement.
const EXPIRE: u32 = 100;
/// The minimum interval between two warnings that the channel is unavailable.
const SAY_AGAIN: Duration = Duration::from_secs(10);
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
}

impl Courier {
    /// Starts the courier on `arbiter`.
    pub fn start(self, arbiter: &ArbiterHandle) -> CourierHandle {
        // A name lives as long as the process, and there is one courier per channel.
        let name = Box::leak(format!("{}_courier", self.channel.name()).into_boxed_str());
        let (channel, metrics) = (self.channel.clone(), DeliveryMetrics::new(self.channel.name()));
        let wake = Arc::new(Notify::new());
        let woken = Arc::clone(&wake);
        let task = TaskHandle::start_with_signal(ActorOptions::new(name), arbiter, move |stop| {
            let shift = Shift {
                courier: self.clone(),
                metrics: metrics.clone(),
                wake: Arc::clone(&woken),
                stop,
                sending: FuturesUnordered::new(),
                in_flight: HashSet::new(),
                failures: 0,
                said: None,
                is_told: false,
                claims: true,
            };
            shift.run()
        });
        CourierHandle { task, channel, wake }
    }
}

impl CourierHandle {
    /// Tells the courier that there may be deliveries.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Claims no more deliveries from now on.
    pub fn stop_claiming(&self) {
        self.task.signal_stop();
    }

    /// Claims no more deliveries, and returns when those in progress have ended and are recorded.
    pub async fn drain(&self) {
        self.task.finish().await;
        self.channel.drain().await;
    }
}

/// An attempt that has ended.
struct Ended {
    delivery: Delivery,
    attempt: Result<(), ChannelError>,
    span: Span,
}

impl Ended {
    /// How long the receiver asks to wait.
    fn retry_after(&self) -> Option<Duration> {
        match self.attempt {
            Err(ChannelError::Unavailable { retry_after, .. }) => retry_after,
            _ => None,
        }
    }
}

/// A courier at work, from its start to its stop or panic.
struct Shift {
    courier: Courier,
    metrics: DeliveryMetrics,
    wake: Arc<Notify>,
    stop: StopSignal,
    sending: FuturesUnordered<LocalBoxFuture<'static, Ended>>,
    /// The deliveries in `sending`.
    in_flight: HashSet<DeliveryId>,
    /// How many times in a row the channel was found unavailable.
    failures: u32,
    /// When a line last said that the channel is unavailable.
    said: Option<Instant>,
    /// Whether a line has said so since the channel last worked.
    is_told: bool,
    /// Whether the last claim has worked. Later failures are not logged.
    claims: bool,
}

impl Shift {
    async fn run(mut self) {
        let mut next_claim = Instant::now();
        loop {
            // What has ended is recorded before anything is claimed, so that it is not claimed again.
            if let Some(Some(ended)) = self.sending.next().now_or_never() {
                next_claim = Instant::now() + self.record(ended).await;
                continue;
            }
            let stopping = self.stop.is_set();
            if stopping && self.sending.is_empty() {
                return;
            }
            let free = if stopping { 0 } else { self.free() };
            if free > 0 && Instant::now() >= next_claim {
                next_claim = Instant::now() + self.claim(free).await;
                continue;
            }
            tokio::select! {
                Some(ended) = self.sending.next() => {
                    next_claim = Instant::now() + self.record(ended).await;
                }
                () = self.wake.notified(), if free > 0 && self.failures == 0 => {
                    next_claim = Instant::now();
                }
                () = sleep_until(next_claim), if free > 0 => {}
                () = self.stop.wait(), if !stopping => {}
            }
        }
    }

    /// How many more deliveries may be sent now: one at a time while the channel is unavailable.
    fn free(&self) -> usize {
        let places = if self.failures > 0 { 1 } else { self.courier.channel.concurrency() };
        places.saturating_sub(self.sending.len())
    }

    /// Claims up to `free` deliveries and begins to send them. Returns the pause before the next
    /// claim.
    async fn claim(&mut self, free: usize) -> Duration {
        let claimed = match self.claimed(free).await {
            Ok(claimed) => claimed,
            Err(error) => {
                if self.claims {
                    let (channel, error) =
                        (self.courier.channel.name(), DatabaseError::from(error));
                    warn!(channel, %error, "cannot claim deliveries, retrying");
                }
                self.claims = false;
                return DATABASE_PAUSE;
            }
        };
        self.claims = true;
        crash_point!("courier::claimed");
        let more = claimed.len() == free;
        for delivery in claimed {
            // The claim of an attempt in progress may have expired while the database did not answer.
            if self.in_flight.insert(delivery.id) {
                let attempt = attempt(self.courier.channel.clone(), delivery);
                self.sending.push(attempt.boxed_local());
            }
        }
        if more { Duration::ZERO } else { POLL_INTERVAL }
    }

    async fn claimed(&self, free: usize) -> Result<Vec<Delivery>, sqlx::Error> {
        let Courier { channel, pool, limits, attempt_timeout } = &self.courier;
        let channel = channel.name();
        // Expires old deliveries in bulk, because single attempts would take too long.
        while self.failures > 0 && !self.stop.is_set() {
            let reason = letter_reason(limits.too_late(""));
            let expired = queries::expire(pool, channel, limits.age, &reason, EXPIRE).await?;
            if expired > 0 {
                self.metrics.dead_letters(expired);
                warn!(channel, expired, "notifications are too old and become dead letters");
            }
            if expired < u64::from(EXPIRE) {
                break;
            }
        }
        queries::claim(pool, channel, free, *attempt_timeout + CLAIM_MARGIN).await
    }

    /// Records how this attempt, and all others that have ended by now, ended. Returns the pause
    /// before the next claim.
    async fn record(&mut self, first: Ended) -> Duration {
        let mut ended = vec![first];
        while let Some(Some(next)) = self.sending.next().now_or_never() {
            ended.push(next);
        }
        crash_point!("courier::attempted");
        let asked = ended.iter().filter_map(Ended::retry_after).max().unwrap_or_default();
        self.count_failures(&ended);
        let (mut sent, mut retried, mut dead) = (Vec::new(), Vec::new(), Vec::new());
        for Ended { delivery, attempt, span } in ended {
            let id = delivery.id;
            self.in_flight.remove(&id);
            match Outcome::of(&delivery, attempt, self.courier.limits) {
                Outcome::Sent => {
                    self.metrics.sent(delivery.occurred_at);
                    sent.push(id);
                }
                Outcome::Retry { after, refused, reason } => {
                    debug!(parent: &span, reason, ?after, "the notification is retried");
                    self.metrics.retried();
                    let refusals = delivery.refusals + u32::from(refused);
                    let (attempts, reason) = (delivery.attempts, letter_reason(reason));
                    retried.push(Failed { id, attempts, refusals, after, reason });
                }
                Outcome::Dead { reason } => {
                    let reason = letter_reason(reason);
                    let ReceivedRecord { topic, partition, offset, .. } = &delivery.record;
                    let channel = self.courier.channel.name();
                    warn!(parent: &span, channel, topic, partition, offset, reason, "the notification becomes a dead letter");
                    self.metrics.dead_letters(1);
                    dead.push(Dead { id, attempts: delivery.attempts, reason });
                }
            }
        }
        self.recorded(&sent, &retried, &dead).await;
        crash_point!("courier::recorded");
        match self.failures {
            // Later events of the same orders may be sent now. A pause saves statements if only a few
            // places are free.
            0 if self.free() >= self.courier.channel.concurrency().div_ceil(4) => Duration::ZERO,
            0 => FEW_FREE,
            failures => PAUSES.jittered(failures).max(asked.min(MAX_RETRY_AFTER)),
        }
    }

    /// Attempts that ended together count once. The channel works if it has answered one of them.
    fn count_failures(&mut self, ended: &[Ended]) {
        let channel = self.courier.channel.name();
        let answered =
            |ended: &Ended| matches!(ended.attempt, Ok(()) | Err(ChannelError::Refused { .. }));
        if ended.iter().any(answered) {
            if std::mem::take(&mut self.is_told) {
                info!(channel, failures = self.failures, "the channel works again");
            }
            self.failures = 0;
            return;
        }
        let reason = ended.iter().find_map(|ended| match &ended.attempt {
            Err(ChannelError::Unavailable { reason, .. }) => Some(reason),
            _ => None,
        });
        let Some(reason) = reason else { return };
        self.failures += 1;
        // A channel that fails every now and then gets a line every now and then.
        if !self.is_told && self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            (self.said, self.is_told) = (Some(Instant::now()), true);
            warn!(channel, reason, "the channel is unavailable, retrying until it works");
        }
    }

    /// Retries until everything is recorded. Meanwhile nothing else is claimed.
    async fn recorded(&self, sent: &[DeliveryId], retried: &[Failed], dead: &[Dead]) {
        let Courier { channel, pool, .. } = &self.courier;
        let name = channel.name();
        if !sent.is_empty() {
            until_recorded(name, async || queries::sent(pool, name, sent).await).await;
            crash_point!("courier::recorded_sent");
        }
        if !retried.is_empty() {
            until_recorded(name, async || queries::retry_later(pool, name, retried).await).await;
            crash_point!("courier::recorded_retries");
        }
        if !dead.is_empty() {
            until_recorded(name, async || queries::bury(pool, name, dead).await).await;
        }
    }
}

/// Repeats a statement until it works. It changes only deliveries that are still pending, so it can
/// be repeated when the outcome is unknown.
async fn until_recorded(channel: &str, record: impl AsyncFn() -> Result<(), sqlx::Error>) {
    let mut failures = 0;
    while let Err(error) = record().await {
        failures += 1;
        if failures == 1 {
            let error = DatabaseError::from(error);
            warn!(channel, %error, "cannot record what was sent, retrying");
        }
        sleep(DATABASE_RETRIES.jittered(failures)).await;
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
    Ended { delivery, attempt, span }
}
