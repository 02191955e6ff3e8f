//! Compares the history of orders with what the notifier has received.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use service_kit::verify::{Finding, Invariant, ReadError, Snapshot};
use uuid::Uuid;

use super::queries::{self, Change, DeliveryRow};
use crate::inbox::SENT_AT_ONCE;

static RECEIVED: Invariant = Invariant {
    name: "event-received",
    says: "every event that was published was received, or is a dead letter",
    checked: "events",
    ids: "orders",
};

static KNOWN: Invariant = Invariant {
    name: "received-in-history",
    says: "every event that was received is in the history of its order",
    checked: "received events",
    ids: "orders",
};

static TRUE: Invariant = Invariant {
    name: "delivery-as-in-history",
    says: "a delivery has the sequence number, state and time of its event in the history",
    checked: "deliveries",
    ids: "orders",
};

/// Every published event must have been received. One that was not counts as open while the notifier
/// has not read everything. Events older than `checked` are not checked.
pub(super) async fn received(
    history: &mut Snapshot,
    notifier: &mut Snapshot,
    checked: Duration,
    caught_up: bool,
) -> Result<Finding, ReadError> {
    let mut finding = Finding::of(&RECEIVED);
    let mut last = (i64::MIN, 0);
    loop {
        let page =
            history.read(async |shard| queries::published(shard, last, checked).await).await?;
        let Some(end) = page.last() else { return Ok(finding) };
        last = (end.order_id, end.sequence);
        finding.checked += page.len() as u64;
        let orders: Vec<i64> = page.iter().map(|change| change.order_id).collect();
        let known: HashSet<Uuid> =
            notifier.read(async |notifier| queries::seen(notifier, &orders).await).await?;
        for change in page.iter().filter(|change| !known.contains(&change.event_id)) {
            if caught_up {
                finding.violated_by(change.order_id);
            } else {
                finding.open += 1;
            }
        }
    }
}

static COMPLETE: Invariant = Invariant {
    name: "event-has-deliveries",
    says: "an event was sent at once over each channel that was enabled for its state when it was received, or has a delivery",
    checked: "received events",
    ids: "orders",
};

/// Every received event must be in the history. Its deliveries must match the history, and no
/// channel may be missing.
pub(super) async fn known(
    notifier: &mut Snapshot,
    history: &mut [Snapshot],
    checked: Duration,
) -> Result<[Finding; 3], ReadError> {
    let mut known = Finding::of(&KNOWN);
    let (mut true_to_it, mut complete) = (Finding::of(&TRUE), Finding::of(&COMPLETE));
    let channels = notifier.read(queries::channels).await?;
    let mut last = i64::MIN;
    loop {
        let page = notifier
            .read(async |notifier| queries::received_orders(notifier, last, checked).await)
            .await?;
        let Some(end) = page.last() else { return Ok([known, true_to_it, complete]) };
        last = end.order_id;
        let orders: Vec<i64> = page.iter().map(|received| received.order_id).collect();
        let mut changes: HashMap<Uuid, Change> = HashMap::new();
        for shard in &mut *history {
            let found = shard.read(async |shard| queries::changes(shard, &orders).await).await?;
            changes.extend(found.into_iter().map(|change| (change.event_id, change)));
        }
        let deliveries = notifier
            .read(async |notifier| queries::deliveries(notifier, &channels, &orders).await)
            .await?;
        true_to_it.checked += deliveries.len() as u64;
        let mut delivered: HashSet<(&str, Uuid)> = HashSet::new();
        for DeliveryRow { channel, change } in &deliveries {
            delivered.insert((channel, change.event_id));
            // A delivery whose event is not in the history is reported below.
            if changes.get(&change.event_id).is_some_and(|known| known != change) {
                true_to_it.violated_by(change.order_id);
            }
        }
        for received in &page {
            let order = received.order_id;
            known.checked += received.event_ids.len() as u64;
            complete.checked += received.event_ids.len() as u64;
            for (event, wanted) in received.event_ids.iter().zip(&received.channels) {
                if changes.get(event).is_none_or(|change| change.order_id != order) {
                    known.violated_by(order);
                }
                let is_missing = |channel| !delivered.contains(&(channel, *event));
                let wanted = wanted.split(',').filter(|channel| !channel.is_empty());
                let mut wanted = wanted.filter(|channel| !channel.ends_with(SENT_AT_ONCE));
                if received.young && wanted.any(is_missing) {
                    complete.violated_by(order);
                }
            }
        }
    }
}
