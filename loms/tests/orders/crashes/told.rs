//! What Kafka tells of the orders, after all crashes: every change, in order, and a repeated event is the same event.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::events::Events;
use crate::shop::Backend;

/// How long the last events may be on their way.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// By order and sequence: event id and state.
type History = BTreeMap<(i64, i64), (String, String)>;

/// How many events there are, and what is wrong with them.
pub async fn violations(backend: &Backend) -> (usize, Vec<String>) {
    let mut history = History::new();
    for pool in &backend.pools {
        let query = sqlx::query_as("SELECT order_id, sequence, event_id::text, state FROM order_history");
        let rows: Vec<(i64, i32, String, String)> = query.fetch_all(pool).await.unwrap();
        let rows =
            rows.into_iter().map(|(id, sequence, event, state)| ((id, sequence.into()), (event, state)));
        history.extend(rows);
    }
    let (events, consumer) = Events::read(backend);
    let deadline = Instant::now() + TOLD_WITHIN;
    let wrong = loop {
        let wrong = compare(&history, &events);
        if wrong.is_empty() || Instant::now() > deadline {
            break wrong;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    consumer.drain().await;
    (history.len(), wrong)
}

fn compare(history: &History, events: &Events) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut told = History::new();
    let mut last: HashMap<i64, i64> = HashMap::new();
    for record in events.all() {
        let event: Value = serde_json::from_slice(record.payload.as_deref().unwrap()).unwrap();
        let (id, sequence) = (event["id"].as_i64().unwrap(), event["sequence"].as_i64().unwrap());
        let content = |name: &str| event[name].as_str().unwrap().to_owned();
        let content = (content("eventId"), content("state"));
        let last = last.entry(id).or_default();
        if sequence > *last + 1 {
            wrong.push(format!("order {id}: event {sequence} came after {last}"));
        }
        *last = sequence.max(*last);
        if let Some(first) = told.insert((id, sequence), content.clone()).filter(|first| *first != content) {
            wrong.push(format!("order {id}: event {sequence} was {first:?}, then {content:?}"));
        }
    }
    let missing = history.iter().filter(|(change, content)| told.get(change) != Some(content));
    let missing: Vec<_> = missing.map(|(change, _)| change).collect();
    if !missing.is_empty() {
        let first = &missing[..missing.len().min(5)];
        wrong.push(format!("{} changes are not told, such as {first:?}", missing.len()));
    }
    wrong
}
