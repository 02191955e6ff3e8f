//! Records that cannot be processed go to the dead-letter topic with the reason, and block nothing.

use dev::testing::eventually;
use kafka_actors::{Headers, Record};

use crate::support::{MemoryChannel, SOON, World, event};

#[actix::test]
async fn poison_becomes_a_dead_letter_with_its_reason_and_blocks_nobody() {
    let world = World::new().await;
    let channel = MemoryChannel::default();
    let mut no_event_id = event(1000, 1, "NEW");
    no_event_id.as_object_mut().unwrap().remove("eventId");
    let mut wrong_type = event(1000, 1, "NEW");
    wrong_type["id"] = "1000".into();
    let topic = &world.topic.name;
    let not_json = Record::new(topic, "key", "no json")
        .with_headers(Headers::new().with("ce_id", "7").with("raw", [0xff]));
    let too_large = Record::new(topic, "key", vec![b' '; 300_000]);
    let mut unknown_state = event(1000, 1, "NEW");
    unknown_state["state"] = "x".repeat(10_000).into();
    let later_version = world.record(&event(1000, 1, "NEW"));
    let later_version = Record {
        headers: later_version.headers.clone().with("ce_type", "loms.order.new.v2"),
        ..later_version
    };
    let good = event(2000, 1, "NEW");
    let records = vec![
        not_json,
        world.record(&no_event_id),
        too_large,
        world.record(&wrong_type),
        world.record(&unknown_state),
        later_version,
        world.record(&good),
    ];
    world.producer.publish(records).await.unwrap();
    let notifier = world.start("one", &channel);
    assert_eq!(channel.holds(1).await, [(2000, 1)]);

    let letters = world.dead_letters(6).await;
    assert_eq!(letters.len(), 6);
    let find = |reason: &str| {
        let says = |letter: &&kafka_actors::ReceivedRecord| {
            letter.headers.text("x-error-reason").is_some_and(|text| text.contains(reason))
        };
        letters.iter().find(says).unwrap_or_else(|| panic!("no dead letter says {reason:?}"))
    };
    let letter = find("not a JSON object");
    assert_eq!(
        (letter.key.as_deref(), letter.payload.as_deref()),
        (Some(&b"key"[..]), Some(&b"no json"[..]))
    );
    assert_eq!(
        (letter.headers.text("ce_id"), letter.headers.get("raw")),
        (Some("7"), Some(&[0xff][..]))
    );
    assert_eq!(letter.headers.text("x-original-topic"), Some(topic.as_str()));
    assert!(
        letter.headers.text("x-original-partition").is_some_and(|text| text == "0" || text == "1")
    );
    assert!(
        letter.headers.text("x-original-offset").is_some_and(|text| text.parse::<u64>().is_ok())
    );
    find("missing field `eventid`");
    find("invalid type: string");
    find("loms.order.new.v2");
    let reason = find("unknown variant").headers.text("x-error-reason").map(str::len);
    assert!(reason.is_some_and(|bytes| bytes <= 1024), "{reason:?}");
    assert_eq!(find("300000 bytes").payload.as_ref().map(Vec::len), Some(300_000));

    world.publish(&[event(2000, 2, "FAILED")]).await;
    channel.holds(2).await;
    notifier.stop().await;
}

#[actix::test]
async fn poison_at_the_limit_of_kafka_leaves_its_whereabouts() {
    let world = World::new().await;
    let channel = MemoryChannel::default();
    let largest = Record::new(&world.topic.name, "key", vec![b' '; 999_850]);
    world.producer.publish(vec![largest]).await.unwrap();
    let notifier = world.start("one", &channel);
    world.publish(&[event(2000, 1, "NEW")]).await;
    channel.holds(1).await;
    let letters = world.dead_letters(1).await;
    assert_eq!(letters[0].payload, None);
    assert_eq!(letters[0].headers.text("x-original-bytes"), Some("999850"));
    notifier.stop().await;
}

#[actix::test]
async fn what_a_channel_refuses_is_tried_again_a_bounded_number_of_times() {
    let world = World::new().await;
    let channel = MemoryChannel::refusing(1000);
    let refused = event(1000, 1, "NEW");
    world
        .publish(&[event(2000, 1, "NEW"), refused, event(2000, 2, "FAILED"), event(3000, 1, "NEW")])
        .await;
    let notifier = world.start("one", &channel);
    let mut sent = channel.holds(3).await;
    sent.sort_unstable();
    assert_eq!(sent, [(2000, 1), (2000, 2), (3000, 1)]);
    let letters = world.dead_letters(1).await;
    assert_eq!(letters[0].headers.text("x-error-reason"), Some("no such address"));
    assert_eq!(letters[0].headers.text("x-channel"), Some("memory"));
    assert_eq!(letters[0].headers.text("x-attempts"), Some("3"));
    assert_eq!(letters[0].key.as_deref(), Some(&b"1000"[..]));
    notifier.stop().await;
    assert_eq!(*channel.refusals.lock().unwrap(), 3, "two retries");
    assert_eq!(world.count("deliveries where status = 'sent'").await, 3);
    assert_eq!(world.count("deliveries where status = 'dead'").await, 1);
}

#[actix::test]
async fn the_dead_letter_topic_is_made_before_the_first_dead_letter() {
    let world = World::new().await;
    let notifier = world.start("one", &MemoryChannel::default());
    world.producer.publish(vec![Record::new(&world.topic.name, "key", "no json")]).await.unwrap();
    let partitions = eventually(SOON, "the topic is there", async || {
        world.partitions(&world.topic.dead_letters())
    })
    .await;
    assert_eq!(partitions, 1, "a topic that the broker made by itself would have two");
    assert_eq!(world.dead_letters(1).await.len(), 1);
    notifier.stop().await;
}

#[actix::test]
async fn a_tombstone_is_skipped() {
    let world = World::new().await;
    let channel = MemoryChannel::default();
    let tombstone = Record { payload: None, ..Record::new(&world.topic.name, "1000", "") };
    world.producer.publish(vec![tombstone, world.record(&event(1000, 1, "NEW"))]).await.unwrap();
    world.producer.publish(vec![Record::new(&world.topic.name, "1000", "no json")]).await.unwrap();
    let notifier = world.start("one", &channel);
    channel.holds(1).await;
    let letters = world.dead_letters(1).await;
    assert_eq!(
        letters[0].payload.as_deref(),
        Some(&b"no json"[..]),
        "the tombstone is no dead letter"
    );
    notifier.stop().await;
}

#[actix::test]
async fn an_oversized_letter_does_not_double_its_neighbours() {
    let world = World::new().await;
    world.limit_dead_letters(2_000).await;
    let poison = |text: &str| Record::new(&world.topic.name, "1000", text);
    // Nothing that compression makes small.
    let large: String = (0..10_000).map(|_| fastrand::alphanumeric()).collect();
    let records =
        vec![poison("first"), poison("second"), poison(&large), poison("third"), poison("fourth")];
    world.producer.publish(records).await.unwrap();
    let channel = MemoryChannel::default();
    let notifier = world.start("one", &channel);
    world.publish(&[event(2000, 1, "NEW")]).await;
    channel.holds(1).await;
    let letters = world.dead_letters(5).await;
    let mut found: Vec<Option<&str>> = letters
        .iter()
        .map(|letter| letter.payload.as_deref().map(|text| str::from_utf8(text).unwrap()))
        .collect();
    found.sort_unstable();
    assert_eq!(found, [None, Some("first"), Some("fourth"), Some("second"), Some("third")]);
    notifier.stop().await;
}

#[actix::test]
async fn dead_letters_do_not_wait_for_the_inbox_and_come_once() {
    let world = World::new().await;
    let channel = MemoryChannel::default();
    let notifier = world.start("one", &channel);
    world.publish(&[event(1000, 1, "NEW")]).await;
    channel.holds(1).await;

    let mut blocker = world.database.connect().await;
    sqlx::query("begin").execute(&mut blocker).await.unwrap();
    sqlx::query("lock table received_orders").execute(&mut blocker).await.unwrap();
    let poison = Record::new(&world.topic.name, "2000", "no json");
    world.producer.publish(vec![poison, world.record(&event(2000, 1, "NEW"))]).await.unwrap();
    assert_eq!(world.dead_letters(1).await.len(), 1);
    // The statement that waits for the lock times out, and the batch is delivered again.
    let retried = format!(
        "kafka_consumer_records_total{{outcome=\"retried\",topic=\"{}\"}} 0",
        world.topic.name
    );
    eventually(SOON, "the batch is tried again", async || {
        !service_kit::metrics::render().contains(&retried)
    })
    .await;
    sqlx::query("rollback").execute(&mut blocker).await.unwrap();
    channel.holds(2).await;
    world.publish(&[event(3000, 1, "NEW")]).await;
    channel.holds(3).await;
    assert_eq!(world.end_of(&world.topic.dead_letters()), 1, "one letter");
    notifier.stop().await;
}
