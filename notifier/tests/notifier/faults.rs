//! Temporary faults: what was waiting is delivered afterwards, once.

use dev::testing::{Fault, eventually};
use kafka_actors::Record;

use crate::support::{MemoryChannel, SOON, World, event};

#[actix::test]
async fn a_dead_letter_topic_that_cannot_be_written_stops_nobody() {
    let world = World::new().await;
    world.limit_dead_letters(10).await;
    let channel = MemoryChannel::default();
    let notifier = world.start("one", &channel);
    let poison = |text: &str| {
        let headers = kafka_actors::Headers::new().with("ce_id", "7").with("raw", [0xff]);
        Record::new(&world.topic.name, "1000", text).with_headers(headers)
    };
    world.producer.publish(vec![poison("first"), poison("second")]).await.unwrap();
    world.publish(&[event(2000, 1, "NEW")]).await;
    channel.holds(1).await;
    let waiting = async |count| {
        let found = world.count("letters where published_at is null").await;
        if found == count { Ok(()) } else { Err(found) }
    };
    eventually(SOON, "the letters wait in the database", async || waiting(2).await).await;
    world.producer.publish(vec![poison("third")]).await.unwrap();
    eventually(SOON, "so does the third", async || waiting(3).await).await;
    world.publish(&[event(2000, 2, "FAILED")]).await;
    channel.holds(2).await;

    world.limit_dead_letters(1_000_000).await;
    Fault::passed("a dead-letter topic that cannot be written")
        .normal_when("the letters are published", async || waiting(0).await)
        .await;
    let letters = world.dead_letters(3).await;
    let payloads: Vec<_> = letters.iter().filter_map(|letter| letter.payload.as_deref()).collect();
    assert_eq!(payloads, [&b"first"[..], b"second", b"third"]);
    assert_eq!(letters[0].headers.text("x-original-topic"), Some(world.topic.name.as_str()));
    assert_eq!(
        (letters[0].headers.text("ce_id"), letters[0].headers.get("raw")),
        (Some("7"), Some(&[0xff][..]))
    );
    notifier.stop().await;
}

#[actix::test]
async fn a_channel_that_answers_nothing_for_a_while_sends_each_event_once() {
    let world = World::new().await;
    let channel = MemoryChannel::default();
    channel.stick(true);
    let timeout = [("NOTIFICATION_TIMEOUT", "500ms")];
    let notifier = world.start_with("one", &timeout, std::slice::from_ref(&channel));
    world.publish(&[event(1000, 1, "NEW"), event(1000, 2, "FAILED")]).await;
    eventually(SOON, "the attempt has timed out", async || {
        world.count("deliveries where attempts > 1").await == 1
    })
    .await;
    channel.stick(false);
    Fault::passed("a channel that does not answer")
        .normal_when("the notifications are sent", async || channel.sent().len() == 2)
        .await;
    assert_eq!(channel.sent(), [(1000, 1), (1000, 2)]);
    notifier.stop().await;
}
