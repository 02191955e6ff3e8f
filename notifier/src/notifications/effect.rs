//! Processes a batch of events: the inbox shows which are new, the channel sends them, and one
//! commit records both.

use std::time::Duration;

use service_kit::database::{DatabaseError, Pool, observe};
use shared_actors::actor::Backoff;
use shared_actors::detail_span;
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::actor::NotifyError;
use super::channel::{Channel, ChannelError, Notification};
use super::queries;

/// How long one transaction may send before it commits.
const SENDING: Duration = Duration::from_secs(2);
/// How long one attempt of a channel may take.
const ATTEMPT: Duration = Duration::from_secs(5);
const RETRIES: Backoff =
    Backoff { first: Duration::from_millis(20), max: Duration::from_millis(500) };

/// A notification to send, and the span in which its event is processed.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub notification: Notification,
    pub span: Span,
}

/// How one event was handled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Sent,
    /// The event had been handled before.
    Duplicate,
    /// The channel has refused it too often.
    Refused {
        reason: String,
    },
}

/// Where in a batch to continue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Next {
    /// The index of the first event that is not handled.
    pub index: usize,
    /// How many times the channel has refused that event so far.
    pub refusals: u32,
}

/// The result for some events of a batch.
#[derive(Debug)]
pub struct Handled {
    /// One per event, in order.
    pub outcomes: Vec<Outcome>,
    /// The position after these events.
    pub next: Next,
}

/// Sends the notifications that have not been sent, in order, starting at `from`.
///
/// Stops after the first event that the channel refuses for good, before the first one that it
/// cannot send now, or after [`SENDING`]. The caller asks again for the rest. A transaction thus
/// stays short, and a slow channel keeps what it has sent.
pub(super) async fn notify(
    pool: &Pool,
    channel: &dyn Channel,
    max_retries: u32,
    batch: &[Incoming],
    from: Next,
) -> Result<Handled, NotifyError> {
    let Next { index, mut refusals } = from;
    let batch = &batch[index..];
    let mut transaction = observe("begin", pool.begin()).await?;
    let mut new = observe("receive_events", queries::receive(&mut transaction, batch)).await?;
    let until = Instant::now() + SENDING;
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut sent = Vec::with_capacity(batch.len());
    for incoming in batch {
        let event_id = incoming.notification.event.event_id;
        // Removing the id makes a second copy in the same batch a duplicate.
        if !new.remove(&event_id) {
            outcomes.push(Outcome::Duplicate);
            continue;
        }
        match send(channel, max_retries, incoming, &mut refusals, until).await {
            Sending::Sent => {
                sent.push(&incoming.notification);
                outcomes.push(Outcome::Sent);
                refusals = 0;
                continue;
            }
            Sending::Refused { reason } => {
                outcomes.push(Outcome::Refused { reason });
                refusals = 0;
            }
            Sending::Unavailable { reason } if outcomes.is_empty() => {
                return Err(NotifyError::Unavailable { reason });
            }
            // Notifications sent so far are kept; the next call starts with this one.
            Sending::Unavailable { .. } | Sending::Later => {}
        }
        new.insert(event_id);
        break;
    }
    if !sent.is_empty() {
        observe("record_notifications", queries::record(&mut transaction, channel.name(), &sent))
            .await?;
    }
    let undone: Vec<Uuid> = new.into_iter().collect();
    if !undone.is_empty() {
        observe("give_back_events", queries::give_back(&mut transaction, &undone)).await?;
    }
    observe("commit", transaction.commit()).await?;
    let next = Next { index: index + outcomes.len(), refusals };
    Ok(Handled { outcomes, next })
}

/// How sending one notification ended.
enum Sending {
    Sent,
    Refused {
        reason: String,
    },
    Unavailable {
        reason: String,
    },
    /// No time is left in this transaction.
    Later,
}

async fn send(
    channel: &dyn Channel,
    max_retries: u32,
    incoming: &Incoming,
    refusals: &mut u32,
    until: Instant,
) -> Sending {
    let Incoming { notification, span } = incoming;
    let name = channel.name();
    let sending = span.in_scope(|| {
        let event = &notification.event;
        detail_span!(
            "notify",
            otel.name = format!("notify {name}"),
            notification.channel = name,
            order.id = event.order_id,
            order.state = event.state.as_str(),
            event.id = event.event_id.to_string(),
        )
    });
    async {
        while Instant::now() < until {
            match timeout(ATTEMPT, channel.send(notification)).await {
                Ok(Ok(())) => return Sending::Sent,
                Ok(Err(ChannelError::Refused { reason })) if *refusals < max_retries => {
                    *refusals += 1;
                    tracing::debug!(reason, refusals, "the channel refused, retrying");
                    sleep(RETRIES.wait(*refusals)).await;
                }
                Ok(Err(ChannelError::Refused { reason })) => return Sending::Refused { reason },
                Ok(Err(ChannelError::Unavailable { reason })) => {
                    return Sending::Unavailable { reason };
                }
                Err(_) => {
                    let reason = format!("channel {name} did not answer within {ATTEMPT:?}");
                    return Sending::Unavailable { reason };
                }
            }
        }
        Sending::Later
    }
    .instrument(sending)
    .await
}

impl From<sqlx::Error> for NotifyError {
    fn from(error: sqlx::Error) -> Self {
        // A bug is treated like an outage: the events wait until it is fixed, and nothing is lost.
        Self::Unavailable { reason: DatabaseError::from(error).to_string() }
    }
}
