//! The order events in Kafka after all crashes: every change, in order, and each repeated event
//! identical to the first.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use kafka_actors::ReceivedRecord;
use serde_json::Value;
use tokio::time::interval;

use crate::events::Events;
use crate::shop::Backend;

/// How long to wait for the last events.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Event id and state, by order and sequence.
type History = BTreeMap<(i64, i64), (String, String)>;

/// The number of events, and what is wrong with them.
pub async fn violations(backend: &Backend) -> (usize, Vec<String>) {
    let (events, consumer) = Events::read(backend);
    let deadline = Instant::now() + TOLD_WITHIN;
    let (mut history, mut story) = (read(backend).await, Story::default());
    let mut looks = interval(LOOK_EVERY);
    while story.told.len() != history.len() && Instant::now() < deadline {
        looks.tick().await;
        for record in events.since(story.read) {
            story.hear(&record);
        }
        if story.told.len() > history.len() {
            // Orders that passed their payment deadline have been cancelled meanwhile.
            history = read(backend).await;
        }
    }
    consumer.drain().await;
    (history.len(), story.differences(&history))
}

async fn read(backend: &Backend) -> History {
    let mut history = History::new();
    for pool in &backend.pools {
        let query =
            sqlx::query_as("SELECT order_id, sequence, event_id::text, state FROM order_history");
        let rows: Vec<(i64, i32, String, String)> = query.fetch_all(pool).await.unwrap();
        let change = |(id, sequence, event, state): (i64, i32, String, String)| {
            ((id, i64::from(sequence)), (event, state))
        };
        history.extend(rows.into_iter().map(change));
    }
    history
}

/// The events that were read so far.
#[derive(Default)]
struct Story {
    read: usize,
    told: History,
    last: HashMap<i64, i64>,
    wrong: Vec<String>,
}

impl Story {
    fn hear(&mut self, record: &ReceivedRecord) {
        self.read += 1;
        let event: Value = serde_json::from_slice(record.payload.as_deref().unwrap()).unwrap();
        let (id, sequence) = (event["id"].as_i64().unwrap(), event["sequence"].as_i64().unwrap());
        let content = |name: &str| event[name].as_str().unwrap().to_owned();
        let content = (content("eventId"), content("state"));
        let last = self.last.entry(id).or_default();
        if sequence > *last + 1 {
            self.wrong.push(format!("order {id}: event {sequence} came after {last}"));
        }
        *last = sequence.max(*last);
        let first = self.told.insert((id, sequence), content.clone());
        if let Some(first) = first.filter(|first| *first != content) {
            self.wrong
                .push(format!("order {id}: event {sequence} was {first:?}, then {content:?}"));
        }
    }

    fn differences(self, history: &History) -> Vec<String> {
        let mut wrong = self.wrong;
        let missing =
            history.iter().filter(|(change, content)| self.told.get(change) != Some(content));
        let missing: Vec<_> = missing.map(|(change, _)| change).collect();
        if !missing.is_empty() {
            let first = &missing[..missing.len().min(5)];
            wrong.push(format!("{} changes are not told, such as {first:?}", missing.len()));
        }
        if self.told.len() > history.len() {
            wrong.push(format!("{} events are told of {} changes", self.told.len(), history.len()));
        }
        wrong
    }
}
