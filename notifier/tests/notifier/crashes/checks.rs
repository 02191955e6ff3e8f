//! What must hold after each round.

use std::collections::HashMap;

use uuid::Uuid;

use super::crew::Crew;
use super::receivers::{is_rejected, mailed};

/// Waits until everything is sent, and returns what is wrong.
pub async fn violations(crew: &Crew) -> Vec<String> {
    crew.at_rest().await;
    let mut wrong = Vec::new();
    let report = crew.verify().await;
    if !report.holds() {
        wrong.push(report.to_string());
    }
    let received = [("webhook", crew.webhook.accepted()), ("email", mailed(&crew.mails))];
    for (channel, ids) in received {
        wrong.extend(of_channel(channel, &ids, crew));
    }
    let letters = crew.world.count("letters").await;
    let (poison, rejected) = (crew.poison, crew.rejected());
    if letters != poison + rejected {
        wrong.push(format!("{letters} letters of {poison} records and {rejected} events"));
    }
    wrong
}

/// Every event must have arrived, and those of an order in order. Only their first arrival counts.
fn of_channel(channel: &str, ids: &[Uuid], crew: &Crew) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut first: HashMap<Uuid, usize> = HashMap::new();
    for (position, id) in ids.iter().enumerate() {
        first.entry(*id).or_insert(position);
        if !crew.events.contains_key(id) {
            wrong.push(format!("{channel}: event {id} was never published"));
        }
    }
    let mut arrivals: HashMap<i64, Vec<(i64, usize)>> = HashMap::new();
    let expected = |order: i64| channel != "webhook" || !is_rejected(order);
    for (id, (order, sequence)) in crew.events.iter().filter(|(_, (order, _))| expected(*order)) {
        match first.get(id) {
            Some(position) => arrivals.entry(*order).or_default().push((*sequence, *position)),
            None => wrong.push(format!("{channel}: event {sequence} of order {order} is missing")),
        }
    }
    for (order, mut events) in arrivals {
        events.sort_unstable();
        if !events.is_sorted_by_key(|(_, position)| *position) {
            wrong.push(format!("{channel}: order {order} arrived out of order: {events:?}"));
        }
    }
    wrong
}
