//! `notifier verify`: what it finds in sound databases, and in corrupt ones.
#![allow(clippy::unwrap_used, reason = "a test's helper fails the test by its panic")]

use std::collections::BTreeMap;
use std::process::Stdio;

use dev::testing::eventually;
use sqlx::{AssertSqlSafe, Executor};
use tokio::process::Command;

use crate::history::History;
use crate::support::{MemoryChannel, SOON, World};

/// A corruption: the invariants that it violates, where, and how. Each one has its own order, which
/// replaces {order}.
type Corruption = (&'static [&'static str], Where, &'static str);

#[derive(Clone, Copy)]
enum Where {
    Notifier,
    Loms,
}

const LAST: &str = "where order_id = {order} and sequence = 3 and channel = 'memory'";

const CORRUPTIONS: [Corruption; 15] = [
    (
        &["event-received"],
        Where::Notifier,
        "delete from received_orders where order_id = {order}; delete from deliveries where order_id = {order}",
    ),
    (
        &["event-received"],
        Where::Loms,
        "insert into order_history (order_id, sequence, state) values ({order}, 4, 'CANCELLED')",
    ),
    (
        &["received-in-history"],
        Where::Loms,
        "delete from order_history where order_id = {order} and sequence = 2",
    ),
    (
        &["delivery-as-in-history"],
        Where::Notifier,
        "update deliveries set order_state = 'FAILED' {last}",
    ),
    (
        &["delivery-as-in-history"],
        Where::Notifier,
        "update deliveries set occurred_at = occurred_at + interval '1 second' {last}",
    ),
    (
        &["event-has-deliveries"],
        Where::Notifier,
        "delete from deliveries where order_id = {order} and sequence = 2 and channel = 'other'",
    ),
    (
        &["delivery-has-event"],
        Where::Notifier,
        "insert into deliveries select (delivery).* from (select jsonb_populate_record(d, \
            jsonb_build_object('event_id', gen_random_uuid(), 'sequence', 9)) as delivery from deliveries d {last}) as copy",
    ),
    (
        &["delivery-once", "delivery-has-event"],
        Where::Notifier,
        "insert into deliveries select (delivery).* from (select jsonb_populate_record(d, \
            jsonb_build_object('event_id', gen_random_uuid())) as delivery from deliveries d {last}) as copy",
    ),
    (
        &["delivery-in-order"],
        Where::Notifier,
        "update deliveries set ended_at = ended_at + interval '1 hour' \
         where order_id = {order} and sequence = 2 and channel = 'memory'",
    ),
    (
        &["delivery-in-order"],
        Where::Notifier,
        "update deliveries set status = 'pending', ended_at = null, payload = '{}' \
         where order_id = {order} and sequence = 1 and channel = 'memory'",
    ),
    (
        &["pending-has-record"],
        Where::Notifier,
        "update deliveries set status = 'pending', ended_at = null {last}",
    ),
    (&["pending-has-record"], Where::Notifier, "update deliveries set payload = '{}' {last}"),
    (
        &["pending-is-due-soon"],
        Where::Notifier,
        "update deliveries set status = 'pending', ended_at = null, payload = '{}', due_at = now() + interval '1 day' {last}",
    ),
    (
        &["dead-delivery-has-letter"],
        Where::Notifier,
        "update deliveries set status = 'dead' {last}",
    ),
    (
        &["letter-has-dead-delivery"],
        Where::Notifier,
        "insert into letters (topic, partition, record_offset, channel, order_id, header_names, header_values, reason, attempts) \
         select topic, partition, record_offset, channel, order_id, '{}', '{}', 'none', 1 from deliveries {last}",
    ),
];

#[actix::test]
async fn each_corruption_is_reported_by_name_and_nothing_else() {
    let (world, history) = (World::new().await, History::new().await);
    let channels = [MemoryChannel::default(), MemoryChannel::named("other")];
    let notifier = world.start_with("one", &[], &channels);
    // Sound orders come before and after.
    let sound = |order: i64| vec![order * 1000, order * 1000 + 1];
    let orders: Vec<i64> = (0..CORRUPTIONS.len())
        .map(|index| 2_000_000 + i64::try_from(index).unwrap() * 1000 + i64::from(index % 2 == 0))
        .collect();
    for orders in [sound(1000), orders.clone(), sound(3000)] {
        world.publish(&history.paid(&orders).await).await;
        let all = channels[0].sent().len() + 3 * orders.len();
        channels[0].holds(all).await;
        channels[1].holds(all).await;
    }
    notifier.stop().await;
    let report = history.verify(&world, "one").await;
    assert!(report.holds(), "{report}");
    let checked = |name: &str| {
        report.findings.iter().find(|finding| finding.invariant.name == name).unwrap().checked
    };
    let events = 3 * (orders.len() as u64 + 4);
    assert_eq!(checked("event-received"), events);
    assert_eq!(checked("delivery-as-in-history"), 2 * events);

    let mut expected: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    let mut notifiers = world.database.connect().await;
    for ((violated, place, statement), order) in CORRUPTIONS.iter().zip(&orders) {
        let statement = statement.replace("{last}", LAST).replace("{order}", &order.to_string());
        match place {
            Where::Loms => history.execute(*order, &statement).await,
            Where::Notifier => drop(notifiers.execute(AssertSqlSafe(statement)).await.unwrap()),
        }
        for name in *violated {
            expected.entry(name).or_default().push(*order);
        }
    }
    // This invariant reports letter ids.
    expected.insert("letter-has-dead-delivery", vec![1]);
    let report = history.verify(&world, "one").await;
    let found: BTreeMap<&str, Vec<i64>> = report
        .violated()
        .map(|finding| {
            let mut ids = finding.ids.clone();
            ids.dedup();
            (finding.invariant.name, ids)
        })
        .collect();
    assert_eq!(found, expected, "{report}");
}

#[actix::test]
async fn what_is_not_read_yet_is_open_and_what_waits_in_loms_is_not_missed() {
    let (world, history) = (World::new().await, History::new().await);
    let channel = MemoryChannel::default();
    let notifier = world.start("one", &channel);
    world.publish(&history.paid(&[1000]).await).await;
    channel.holds(3).await;
    notifier.stop().await;
    world.publish(&history.paid(&[2000]).await).await;
    history.paid(&[3000, 4000, 5000]).await;
    for statement in [
        "insert into outbox (order_ids, sequences, events) values ('{3000,3000,3000}', '{1,2,3}', 3)",
        "insert into refused_events values (4000, 1, 'too large'), (4000, 2, 'behind'), (4000, 3, 'behind')",
        "insert into unknown_events values (5000, 1), (5000, 2), (5000, 3)",
    ] {
        history.execute(1000, statement).await;
    }
    let report = history.verify(&world, "one").await;
    assert!(report.holds(), "{report}");
    let received = &report.findings[0];
    assert_eq!((received.checked, received.open), (6, 3), "{report}");
}

#[actix::test]
async fn what_was_given_up_replayed_and_dropped_is_sound_too() {
    let (world, history) = (World::new().await, History::new().await);
    let (failing, other) = (MemoryChannel::default(), MemoryChannel::named("other"));
    failing.fail(true);
    let channels = [failing.clone(), other.clone()];
    let notifier = world.start_with("one", &[("NOTIFICATION_TTL", "1s")], &channels);
    world.publish(&history.paid(&[1000, 2000, 3001]).await).await;
    world.dead_letters(9).await;
    notifier.stop().await;
    let sound = async |what: &str| {
        let report = history.verify(&world, "one").await;
        assert!(report.holds(), "{what}: {report}");
    };
    sound("given up").await;
    world.change(&["drop", "--order", "2000"]).await;
    sound("dropped").await;
    world.change(&["replay", "--order", "1000"]).await;
    sound("replayed").await;
    failing.fail(false);
    // A channel is not enabled any more, and one is new.
    let changed = [failing.clone(), MemoryChannel::named("new")];
    let notifier = world.start_with("one", &[], &changed);
    failing.holds(3).await;
    world.publish(&history.paid(&[4000]).await).await;
    changed[1].holds(3).await;
    failing.holds(6).await;
    notifier.stop().await;
    sound("sent").await;
    for statement in [
        "update deliveries set ended_at = now() - interval '31 days' where $1 = ''",
        "update letters set created_at = now() - interval '31 days' where $1 = ''",
    ] {
        world.execute_with(statement, "").await;
    }
    let notifier = world.start("one", &failing);
    eventually(SOON, "old deliveries are forgotten", async || world.count("deliveries").await == 0)
        .await;
    notifier.stop().await;
    world.execute_with("update received_orders set first_received_at = now() - interval '28 days' where $1 = ''", "").await;
    sound("about to be forgotten").await;
}

#[actix::test]
async fn a_dead_letter_counts_as_received() {
    let (world, history) = (World::new().await, History::new().await);
    let channel = MemoryChannel::default();
    let short = [("EVENT_MAX_BYTES", "1024")];
    let notifier = world.start_with("one", &short, std::slice::from_ref(&channel));
    let mut events = history.paid(&[1000]).await;
    events[1]["note"] = "x".repeat(2000).into();
    world.publish(&events).await;
    channel.holds(2).await;
    world.dead_letters(1).await;
    notifier.stop().await;
    let report = history.verify(&world, "one").await;
    assert!(report.holds(), "{report}");
}

#[actix::test]
async fn the_command_tells_by_its_status_what_it_found() {
    let (world, history) = (World::new().await, History::new().await);
    let channel = MemoryChannel::default();
    let notifier = world.start("one", &channel);
    world.publish(&history.paid(&[1000]).await).await;
    channel.holds(3).await;
    notifier.stop().await;
    let verify = async |more: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_notifier"));
        command.env_clear().envs(world.env("one")).envs(history.env()).envs(more.iter().copied());
        let output = command.arg("verify").stdin(Stdio::null()).output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (status, report, _) = verify(&[]).await;
    assert_eq!(status, Some(0), "{report}");
    assert!(report.ends_with("all 11 invariants hold\n"), "{report}");
    history.execute(1000, "delete from order_history where order_id = 1000").await;
    let (status, report, _) = verify(&[]).await;
    assert_eq!(status, Some(1), "{report}");
    assert!(report.contains("received-in-history: "), "{report}");
    let (status, _, said) = verify(&[("LOMS_DATABASE_MASTER_NAME_1", "nowhere")]).await;
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("the database of shard 1 of loms cannot be read"), "{said}");
}
