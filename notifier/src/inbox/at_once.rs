//! Finds out which events of a batch are new, and sends those over the channels that neither wait nor
//! fail.
//!
//! They are sent before the batch is stored. If the process dies in between, they are sent again. If
//! the batch cannot be stored, they are not: [`SentAtOnce`] remembers them.

use std::collections::HashSet;

use service_kit::database::Pool;
use shared_actors::crash_point;
use uuid::Uuid;

use super::actor::Incoming;
use super::queries::{self, Known, NewEvent};
use crate::channels::EnabledChannel;
use crate::deliveries::ImmediateChannel;

/// What was sent and is not stored yet.
#[derive(Default)]
pub(super) struct SentAtOnce(HashSet<(&'static str, Uuid)>);

/// More is not remembered, and may be sent again.
const REMEMBERED: usize = 10_000;

impl SentAtOnce {
    /// The last batch is stored.
    pub fn stored(&mut self) {
        self.0.clear();
    }
}

/// Sends each new event over each channel of `immediate` that wants it. Other channels, and those
/// that failed in spite of their promise, get a delivery. So does a channel that already has pending
/// deliveries of the order, which come first. Of several copies of an event only the first counts.
pub(super) async fn send<'a>(
    pool: &Pool,
    channels: &[EnabledChannel],
    immediate: &[ImmediateChannel],
    batch: &'a [Incoming],
    sent_before: &mut SentAtOnce,
) -> Result<Vec<NewEvent<'a>>, sqlx::Error> {
    let names: Vec<&str> = immediate.iter().map(ImmediateChannel::name).collect();
    let Known { mut events, waiting } = queries::known(pool, batch, &names).await?;
    let mut new: Vec<NewEvent<'a>> = batch
        .iter()
        .filter(|incoming| events.insert(incoming.event.event_id))
        .map(|incoming| {
            let wants = channels.iter().filter(|enabled| enabled.wants(&incoming.event));
            let queued = wants.map(|enabled| enabled.channel.name()).collect();
            NewEvent { incoming, sent: Vec::new(), queued }
        })
        .collect();
    for channel in immediate {
        let name = channel.name();
        let sent_before = &mut sent_before.0;
        for event in &mut new {
            if sent_before.contains(&(name, event.incoming.event.event_id)) {
                event.is_sent(name);
            }
        }
        let may_go = |new: &&mut NewEvent<'_>| {
            new.queued.contains(&name)
                && !waiting.contains(&(name.to_owned(), new.incoming.event.order_id))
        };
        let mut wanted: Vec<&mut NewEvent<'_>> = new.iter_mut().filter(may_go).collect();
        let events: Vec<_> =
            wanted.iter().map(|new| (&new.incoming.event, new.incoming.record())).collect();
        let sent = if events.is_empty() { 0 } else { channel.send(&events).await };
        if sent_before.len() + sent > REMEMBERED {
            sent_before.clear();
        }
        for event in &mut wanted[..sent] {
            event.is_sent(name);
            sent_before.insert((name, event.incoming.event.event_id));
        }
    }
    crash_point!("inbox::sent_at_once");
    Ok(new)
}
