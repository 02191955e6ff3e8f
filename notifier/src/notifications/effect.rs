//! The effect of a batch of events: the inbox says which are new, the channel sends these, one commit keeps both.

use std::time::Duration;

use shared_actors::actor::Backoff;
use shared_actors::database::{DatabaseError, Pool, observe};
use shared_actors::detail_span;
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::actor::NotifyError;
use super::channel::{Channel, ChannelError, Notification};
use super::queries;

/// How long one transaction goes on sending before it keeps what was sent.
const SENDING: Duration = Duration::from_secs(2);
/// How long a channel may take for one attempt.
const ATTEMPT: Duration = Duration::from_secs(5);
const RETRIES: Backoff = Backoff { first: Duration::from_millis(20), max: Duration::from_millis(500) };

/// A notification to be sent, and the span in which its event is processed.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub notification: Notification,
    pub span: Span,
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Sent,
    /// It had been sent before.
    Duplicate,
    /// The channel refused it for good.
    Refused {
        reason: String,
    },
}

/// Where in a batch to go on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Next {
    /// The first event that is not handled.
    pub index: usize,
    /// How often the channel has refused it so far.
    pub refusals: u32,
}

/// What became of some events of a batch.
#[derive(Debug)]
pub struct Handled {
    /// One per event, in order.
    pub outcomes: Vec<Outcome>,
    /// The event behind them.
    pub next: Next,
}

/// Sends what has not been sent, in order, beginning at `from`: up to the first event that the channel refuses for good or
/// cannot send now, or for [`SENDING`]. What comes after has to be asked for again: so one transaction stays short, and
/// a slow channel keeps what it has sent.
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
        // Removing it makes a second copy in the same batch a duplicate.
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
            // What was sent before is kept; the next call starts with this one.
            Sending::Unavailable { .. } | Sending::Later => {}
        }
        new.insert(event_id);
        break;
    }
    if !sent.is_empty() {
        observe("record_notifications", queries::record(&mut transaction, channel.name(), &sent)).await?;
    }
    let undone: Vec<Uuid> = new.into_iter().collect();
    if !undone.is_empty() {
        observe("give_back_events", queries::give_back(&mut transaction, &undone)).await?;
    }
    observe("commit", transaction.commit()).await?;
    let next = Next { index: index + outcomes.len(), refusals };
    Ok(Handled { outcomes, next })
}

/// How the sending of one event ended.
enum Sending {
    Sent,
    Refused {
        reason: String,
    },
    Unavailable {
        reason: String,
    },
    /// There is no time left in this transaction.
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
                    tracing::debug!(reason, refusals, "refused, tried again");
                    sleep(RETRIES.wait(*refusals)).await;
                }
                Ok(Err(ChannelError::Refused { reason })) => return Sending::Refused { reason },
                Ok(Err(ChannelError::Unavailable { reason })) => return Sending::Unavailable { reason },
                Err(_) => {
                    let reason = format!("channel {name} has not answered within {ATTEMPT:?}");
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
        // A defect looks like an outage from here: the events wait, and nothing is lost, until it is mended.
        Self::Unavailable { reason: DatabaseError::from(error).to_string() }
    }
}
