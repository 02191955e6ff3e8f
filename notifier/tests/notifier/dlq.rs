//! `notifier dlq`: what it lists, and what replaying and dropping do.
#![allow(clippy::unwrap_used, reason = "a test's helper fails the test by its panic")]

use std::process::{Output, Stdio};

use dev::testing::eventually;
use kafka_actors::Record;
use serde_json::Value;
use tokio::process::Command;

use crate::support::{MemoryChannel, SOON, World, event};

impl World {
    async fn dlq(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_notifier"));
        command.env_clear().envs(self.env("one")).arg("dlq").args(arguments);
        command.stdin(Stdio::null()).output().await.unwrap()
    }

    /// Runs a command that must succeed, and returns its output.
    async fn dlq_text(&self, arguments: &[&str]) -> String {
        let output = self.dlq(arguments).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The lines of `notifier dlq list --json`.
    async fn letters(&self, filters: &[&str]) -> Vec<Value> {
        let text = self.dlq_text(&[&["list", "--json"], filters].concat()).await;
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Runs a change with `--json --yes`, and returns how many letters matched and were done.
    pub async fn change(&self, arguments: &[&str]) -> (i64, i64) {
        let text = self.dlq_text(&[arguments, &["--json", "--yes"]].concat()).await;
        let outcome: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(outcome["failed"], serde_json::json!([]), "{outcome}");
        (outcome["matched"].as_i64().unwrap(), outcome["done"].as_i64().unwrap())
    }
}

#[actix::test]
async fn letters_are_listed_by_reason_time_order_and_channel() {
    let world = World::new().await;
    let notifier = world.start("one", &MemoryChannel::refusing(1000));
    let poison = |key: &str, value: &str| Record::new(&world.topic.name, key, value);
    let records = vec![poison("2000", "no json"), poison("x", "{}"), poison("2000", "[]")];
    world.producer.publish(records).await.unwrap();
    world.publish(&[event(1000, 1, "NEW")]).await;
    world.dead_letters(4).await;
    notifier.stop().await;

    let all = world.letters(&[]).await;
    assert_eq!(all.len(), 4, "{all:?}");
    let ids = |letters: &[Value]| -> Vec<i64> {
        letters.iter().map(|letter| letter["id"].as_i64().unwrap()).collect()
    };
    assert!(ids(&all).is_sorted(), "{all:?}");
    let count = async |filters: &[&str]| world.letters(filters).await.len();
    assert_eq!(count(&["--reason", "missing field"]).await, 1);
    assert_eq!(count(&["--order", "2000"]).await, 2);
    assert_eq!(count(&["--order", "1000", "--channel", "memory"]).await, 1);
    assert_eq!(count(&["--channel", "none"]).await, 3);
    assert_eq!((count(&["--since", "1h"]).await, count(&["--until", "1h"]).await), (4, 0));
    assert_eq!(count(&["--until", "2999-01-01T00:00:00Z", "--limit", "3"]).await, 3);
    let two = ids(&all)[1..3].iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    assert_eq!(count(&["--id", &two]).await, 2);

    let table = world.dlq_text(&["list", "--limit", "1"]).await;
    assert!(table.ends_with("4 dead letters, 3 of them not listed\n"), "{table}");
    let of_channel = &world.letters(&["--channel", "memory"]).await[0];
    assert_eq!((&of_channel["order_id"], &of_channel["attempts"]), (&1000.into(), &3.into()));
    let shown = world.dlq_text(&["show", "--json", &of_channel["id"].to_string()]).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["key"], &shown["reason"]), (&"1000".into(), &"no such address".into()));
    let value: Value = serde_json::from_str(shown["value"].as_str().unwrap()).unwrap();
    assert_eq!(value["sequence"], 1);
    assert_eq!(shown["headers"][0]["name"], "ce_id");
    let shown = world.dlq_text(&["show", &of_channel["id"].to_string()]).await;
    assert!(shown.contains("reason        no such address"), "{shown}");
}

#[actix::test]
async fn nothing_is_changed_without_a_yes_or_by_a_dry_run() {
    let world = World::new().await;
    let notifier = world.start("one", &MemoryChannel::default());
    world.producer.publish(vec![Record::new(&world.topic.name, "1000", "no json")]).await.unwrap();
    world.dead_letters(1).await;
    notifier.stop().await;
    for command in ["replay", "drop"] {
        let text = world.dlq_text(&[command, "--dry-run"]).await;
        assert_eq!(text, format!("{command}: matched 1 dead letter, nothing was changed\n"));
        let refused = world.dlq(&[command]).await;
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains("would change 1 dead letter;") && said.contains("--yes"), "{said}");
    }
    assert_eq!(world.letters(&[]).await.len(), 1);
    let unknown = world.dlq(&["show", "999"]).await;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("no dead letter 999"));
}

#[actix::test]
async fn a_dropped_letter_stays_dropped_when_its_record_is_read_again() {
    let world = World::new().await;
    let channel = MemoryChannel::default();
    let notifier = world.start("one", &channel);
    world.producer.publish(vec![Record::new(&world.topic.name, "1000", "no json")]).await.unwrap();
    world.dead_letters(1).await;
    assert_eq!(world.change(&["drop", "--channel", "none"]).await, (1, 1));
    assert_eq!(world.change(&["drop", "--channel", "none"]).await, (0, 0));
    notifier.stop().await;
    let again = world.start("another", &channel);
    world.publish(&[event(2000, 1, "NEW")]).await;
    channel.holds(1).await;
    world.producer.publish(vec![Record::new(&world.topic.name, "1000", "[]")]).await.unwrap();
    world.dead_letters(1).await;
    again.stop().await;
    assert_eq!(world.letters(&[]).await.len(), 1, "only the new one");
    assert_eq!(world.letters(&["--all"]).await.len(), 2);
    assert_eq!(world.end_of(&world.topic.dead_letters()), 2, "each was published once");
}

#[actix::test]
async fn a_replayed_notification_is_sent_once_over_its_channel_only() {
    let world = World::new().await;
    let (memory, other) = (MemoryChannel::default(), MemoryChannel::named("other"));
    memory.fail(true);
    let ttl = [("NOTIFICATION_TTL", "1s")];
    let channels = [memory.clone(), other.clone()];
    let notifier = world.start_with("one", &ttl, &channels);
    world.publish(&[event(1000, 1, "NEW"), event(1000, 2, "FAILED"), event(2000, 1, "NEW")]).await;
    other.holds(3).await;
    world.dead_letters(3).await;
    memory.fail(false);
    // With a time to live that does not pass before the next attempt.
    notifier.stop().await;
    let notifier = world.start_with("one", &[], &channels);
    assert_eq!(world.change(&["replay", "--order", "1000"]).await, (2, 2));
    assert_eq!(memory.holds(2).await, [(1000, 1), (1000, 2)]);
    assert_eq!(world.letters(&[]).await.len(), 1);
    assert_eq!(world.change(&["replay"]).await, (1, 1));
    memory.holds(3).await;
    notifier.stop().await;
    assert_eq!((memory.sent().len(), other.sent().len()), (3, 3));
    assert_eq!(world.count("deliveries where replayed and status = 'sent'").await, 3);
}

#[actix::test]
async fn a_replayed_notification_that_fails_again_is_the_same_letter_again() {
    let world = World::new().await;
    let channel = MemoryChannel::refusing(1000);
    let notifier = world.start("one", &channel);
    world.publish(&[event(1000, 1, "NEW")]).await;
    world.dead_letters(1).await;
    let before = world.letters(&[]).await;
    assert_eq!(world.change(&["replay"]).await, (1, 1));
    world.dead_letters(1).await;
    let after = world.letters(&[]).await;
    assert_eq!((after.len(), &after[0]["id"]), (1, &before[0]["id"]));
    notifier.stop().await;
}

#[actix::test]
async fn a_replayed_record_goes_to_its_topic_as_it_was() {
    let world = World::new().await;
    let channel = MemoryChannel::default();
    // A notifier that accepts only short events.
    let short = [("EVENT_MAX_BYTES", "1024")];
    let notifier = world.start_with("one", &short, std::slice::from_ref(&channel));
    let mut long = event(1000, 1, "NEW");
    long["note"] = "x".repeat(2000).into();
    world.publish(&[long]).await;
    world.dead_letters(1).await;
    notifier.stop().await;

    let notifier = world.start("one", &channel);
    assert_eq!(world.change(&["replay", "--reason", "more than the limit"]).await, (1, 1));
    assert_eq!(channel.holds(1).await, [(1000, 1)]);
    eventually(SOON, "nothing is left", async || world.letters(&[]).await.is_empty()).await;
    notifier.stop().await;
}
