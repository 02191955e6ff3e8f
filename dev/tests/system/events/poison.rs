//! How notifier handles messages that are not events, and events that arrive twice.

use dev::testing::unique_topic;
use serde_json::json;
use uuid::Uuid;

use crate::support::{Env, EventReader, Notifier, Servers, send};

fn event(order: i64, sequence: i64, event_id: &str) -> String {
    json!({
        "id": order, "state": "NEW", "userId": 1, "items": [{"sku": 1002, "count": 1}],
        "eventId": event_id, "sequence": sequence, "occurredAt": "2026-01-02T03:04:05Z",
    })
    .to_string()
}

#[tokio::test]
async fn a_poison_message_goes_to_the_dead_letters_with_its_reason_and_blocks_nobody() {
    let servers = Servers::from_env();
    let topic = unique_topic(&servers.kafka, 2).await;
    let notifier = Notifier::start(&servers, &topic.name, Env::new()).await;
    let poison = ["no json", "{\"id\":", "{}", "[]", "{\"id\": \"x\", \"state\": \"NEW\"}", ""];
    for payload in poison {
        send(&servers.kafka, &topic.name, "777001", payload, None).await;
    }
    let id = Uuid::new_v4().to_string();
    send(&servers.kafka, &topic.name, "777001", &event(777_001, 1, &id), Some(&id)).await;
    notifier.tells(777_001, "NEW").await;

    let mut dead = EventReader::open(&servers.kafka, &topic.dead_letters());
    let dead = dead.until("the dead letters", |seen| seen.len() >= poison.len());
    let mut payloads: Vec<&str> =
        dead.iter().map(|letter| std::str::from_utf8(&letter.payload).unwrap()).collect();
    payloads.sort_unstable();
    let mut expected = poison;
    expected.sort_unstable();
    assert_eq!(payloads, expected);
    for letter in dead {
        assert_eq!(letter.key, "777001");
        let reason = letter
            .headers
            .iter()
            .find(|(name, _)| name.contains("reason") || name.contains("error"));
        assert!(
            reason.is_some_and(|(_, reason)| !reason.is_empty()),
            "no reason in {:?}",
            letter.headers
        );
    }
}

#[tokio::test]
async fn an_event_that_is_delivered_twice_is_told_once() {
    let servers = Servers::from_env();
    let topic = unique_topic(&servers.kafka, 2).await;
    let notifier = Notifier::start(&servers, &topic.name, Env::new()).await;
    let (first, second) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    for _ in 0..3 {
        send(&servers.kafka, &topic.name, "777101", &event(777_101, 1, &first), Some(&first)).await;
    }
    send(&servers.kafka, &topic.name, "777101", &event(777_102, 1, &second), Some(&second)).await;
    notifier.tells(777_102, "NEW").await;
    assert_eq!(notifier.lines(777_101, "NEW").len(), 1);
}
