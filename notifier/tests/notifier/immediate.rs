//! A channel that neither waits nor fails sends an event while it is received, and needs no row for it.

use crate::delivery::assert_in_order;
use crate::support::{MemoryChannel, SOON, World, event};
use dev::testing::eventually;

#[actix::test]
async fn an_event_is_sent_at_once_and_once_however_often_it_is_delivered() {
    let world = World::new().await;
    let (immediate, queued) =
        (MemoryChannel::immediate("immediate"), MemoryChannel::named("queued"));
    let channels = [immediate.clone(), queued.clone()];
    let (first, second) = (event(1000, 1, "NEW"), event(1000, 2, "AWAITING_PAYMENT"));
    world.publish(&[first.clone(), first.clone(), second.clone(), first.clone()]).await;
    let notifier = world.start_with("one", &[], &channels);
    assert_eq!(immediate.holds(2).await, [(1000, 1), (1000, 2)]);
    assert_eq!(queued.holds(2).await, [(1000, 1), (1000, 2)]);
    notifier.stop().await;

    // Another group reads everything from the beginning.
    world.publish(&[second, event(1000, 3, "PAYED")]).await;
    let again = world.start_with("another", &[], &channels);
    immediate.holds(3).await;
    queued.holds(3).await;
    again.stop().await;
    assert_eq!(immediate.sent(), [(1000, 1), (1000, 2), (1000, 3)]);
    assert_eq!(queued.sent(), [(1000, 1), (1000, 2), (1000, 3)]);
    assert_eq!(world.count("deliveries where channel = 'immediate'").await, 0);
    assert_eq!(world.count("deliveries where channel = 'queued' and status = 'sent'").await, 3);
}

#[actix::test]
async fn what_an_immediate_channel_does_not_send_waits_in_its_queue_and_later_events_behind_it() {
    let world = World::new().await;
    let channel = MemoryChannel::immediate("immediate");
    channel.fail(true);
    let notifier = world.start("one", &channel);
    world.publish(&[event(1000, 1, "NEW"), event(2000, 1, "NEW")]).await;
    let pending = "deliveries where channel = 'immediate' and status = 'pending'";
    eventually(SOON, "both wait", async || {
        let waiting = world.count(pending).await;
        if waiting == 2 { Ok(()) } else { Err(waiting) }
    })
    .await;
    channel.fail(false);
    world.publish(&[event(1000, 2, "AWAITING_PAYMENT"), event(3000, 1, "NEW")]).await;
    let sent = channel.holds(4).await;
    assert_in_order(&sent);
    notifier.stop().await;
    assert_eq!(world.count(pending).await, 0);
}
