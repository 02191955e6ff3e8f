//! The effect of a batch of events: the inbox says which are new, the channel sends these, one commit keeps both.

use std::sync::Arc;
use std::time::Duration;

use shared_actors::actor::Backoff;
use shared_actors::database::{DatabaseError, Pool, observe};
use shared_actors::detail_span;
use tokio::time::sleep;
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::actor::NotifyError;
use super::channel::{Channel, ChannelError, Notification};
use super::queries;

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

/// Sends what has not been sent, in order, up to the first event that the channel refuses for good or cannot send now,
/// and answers for these; at least one. What comes after has to be asked for again: so one transaction stays short.
pub(super) async fn notify(
    pool: Pool,
    channel: Arc<dyn Channel>,
    max_retries: u32,
    batch: Vec<Incoming>,
) -> Result<Vec<Outcome>, NotifyError> {
    let notifications: Vec<Notification> =
        batch.iter().map(|incoming| incoming.notification.clone()).collect();
    let mut transaction = observe("begin", pool.begin()).await?;
    let mut new = observe("receive_events", queries::receive(&mut transaction, &notifications)).await?;
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut sent = Vec::with_capacity(batch.len());
    for incoming in &batch {
        // Removing it makes a second copy in the same batch a duplicate.
        if !new.remove(&incoming.notification.event.event_id) {
            outcomes.push(Outcome::Duplicate);
            continue;
        }
        match send(&*channel, max_retries, incoming).await {
            Ok(()) => {
                sent.push(&incoming.notification);
                outcomes.push(Outcome::Sent);
            }
            Err(ChannelError::Refused { reason }) => {
                new.insert(incoming.notification.event.event_id);
                outcomes.push(Outcome::Refused { reason });
                break;
            }
            Err(ChannelError::Unavailable { reason }) if outcomes.is_empty() => {
                return Err(NotifyError::Unavailable { reason });
            }
            // What was sent before is kept; the next call starts with this one.
            Err(ChannelError::Unavailable { .. }) => {
                new.insert(incoming.notification.event.event_id);
                break;
            }
        }
    }
    if !sent.is_empty() {
        observe("record_notifications", queries::record(&mut transaction, channel.name(), &sent)).await?;
    }
    let undone: Vec<Uuid> = new.into_iter().collect();
    if !undone.is_empty() {
        observe("give_back_events", queries::give_back(&mut transaction, &undone)).await?;
    }
    observe("commit", transaction.commit()).await?;
    Ok(outcomes)
}

async fn send(channel: &dyn Channel, max_retries: u32, incoming: &Incoming) -> Result<(), ChannelError> {
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
        let mut failures = 0;
        loop {
            match channel.send(notification).await {
                Err(ChannelError::Refused { reason }) if failures < max_retries => {
                    failures += 1;
                    tracing::debug!(reason, failures, "refused, tried again");
                    sleep(RETRIES.wait(failures)).await;
                }
                result => return result,
            }
        }
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
