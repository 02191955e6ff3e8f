//! The relay: how it handles events that Kafka refuses, how soon it publishes, and what that costs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dev::testing::{eventually, limit_records};
use futures::future::join_all;
use kafka_actors::ReceivedRecord;
use loms::domain::OrderError;
use sqlx::PgPool;

use crate::events::{Events, stories, story};
use crate::shop::{Backend, order};

const SOON: Duration = Duration::from_secs(30);

/// A user whose orders are on shard 1.
const USER: i64 = 1;

async fn count(pool: &PgPool, of: &str) -> i64 {
    let query = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {of}"));
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

fn told(events: &Events) -> BTreeMap<i64, Vec<(i64, String)>> {
    stories(&events.since(0))
}

#[actix::test]
async fn an_event_that_kafka_refuses_holds_up_only_its_order_and_can_be_taken_up_again() {
    let backend = Backend::new().await;
    limit_records(&backend.topic.host_port, &backend.topic.name, 2_000).await;
    let shop = backend.open(&[]).await;
    let (events, consumer) = Events::read(&backend);
    // These products have no stock: the order fails, and its two events are too large, even
    // compressed.
    let many: BTreeMap<u32, u32> = (0..900).map(|_| (fastrand::u32(3_000_000..), 1)).collect();
    let many: Vec<(u32, u32)> = many.into_iter().collect();
    let small = order(USER, &[(1002, 1)]);
    let first = shop.orders.create(small.clone()).await.unwrap();
    let refused = shop.orders.create(order(USER, &many)).await.unwrap_err();
    let OrderError::OutOfStock { order: large, .. } = refused else { panic!("{refused}") };
    let second = shop.orders.create(small).await.unwrap();
    shop.orders.pay(second).await.unwrap();

    events.when(5).await;
    let outbox_is_empty = async || count(&backend.pools[1], "outbox").await == 0;
    eventually(SOON, "nothing waits", outbox_is_empty).await;
    let mut expected = BTreeMap::from([
        (first.get(), story(&["NEW", "AWAITING_PAYMENT"])),
        (second.get(), story(&["NEW", "AWAITING_PAYMENT", "PAYED"])),
    ]);
    assert_eq!(told(&events), expected);
    let refused = "refused_events WHERE sequence = 1 AND reason LIKE '%large%' OR sequence = 2 AND reason LIKE '%earlier%'";
    assert_eq!(count(&backend.pools[1], refused).await, 2);

    limit_records(&backend.topic.host_port, &backend.topic.name, 1_000_000).await;
    expected.insert(large.get(), story(&["NEW", "FAILED"]));
    eventually(SOON, "the refused events are published", async || {
        sqlx::query("SELECT take_up_events()").execute(&backend.pools[1]).await.unwrap();
        if told(&events) == expected { Ok(()) } else { Err(told(&events)) }
    })
    .await;
    eventually(SOON, "nothing waits", outbox_is_empty).await;
    assert_eq!(count(&backend.pools[1], "refused_events").await, 0);
    assert_eq!(told(&events), expected, "each once");
    consumer.drain().await;
    shop.close().await;
}

#[actix::test]
async fn a_publication_that_is_too_much_for_the_producer_is_made_in_parts() {
    const MUCH: i64 = 10_500;
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let (events, consumer) = Events::read(&backend);
    let known = shop.orders.create(order(USER, &[(1002, 1)])).await.unwrap();
    events.when(2).await;
    let insert = "INSERT INTO outbox (order_ids, sequences, events)
        SELECT array_agg($1::bigint), array_agg(1), $2 FROM generate_series(1, $2)";
    let insert = sqlx::query(insert).bind(known.get()).bind(i32::try_from(MUCH).unwrap());
    insert.execute(&backend.pools[1]).await.unwrap();
    events.when(usize::try_from(MUCH).unwrap() + 2).await;
    let nothing_waits = async || count(&backend.pools[1], "outbox").await == 0;
    eventually(SOON, "nothing waits", nothing_waits).await;
    consumer.drain().await;
    shop.close().await;
}

#[actix::test]
async fn events_of_an_instance_that_does_not_relay_come_as_soon() {
    let backend = Backend::new().await;
    let holder = backend.open(&[]).await;
    for pool in &backend.pools {
        let held = "pg_locks JOIN pg_database ON pg_database.oid = database
            WHERE locktype = 'advisory' AND granted AND datname = current_database()";
        eventually(SOON, "the first instance relays", async || count(pool, held).await == 1).await;
    }
    let other = backend.open(&[]).await;
    let (events, consumer) = Events::read(&backend);
    holder.orders.create(order(USER, &[(1002, 1)])).await.unwrap();
    events.when(2).await;
    let mut delays = Vec::new();
    for round in 1..=15 {
        other.orders.create(order(USER, &[(1002, 1)])).await.unwrap();
        let answered = Instant::now();
        events.when(2 + 2 * round).await;
        delays.push(answered.elapsed());
    }
    delays.sort_unstable();
    println!("events of another instance come after {delays:?}");
    assert!(delays[delays.len() / 2] < Duration::from_millis(500), "{delays:?}");
    consumer.drain().await;
    other.close().await;
    holder.close().await;
}

#[actix::test]
async fn a_shop_that_grows_from_nothing_is_never_scanned_by_the_relay() {
    const ORDERS: usize = 2_000;
    let backend = Backend::new().await;
    let (shop, other) = (backend.open(&[]).await, backend.open(&[]).await);
    backend.add_stock(4001, 1_000_000).await;
    let (events, consumer) = Events::read(&backend);
    for _ in 0..ORDERS / 100 {
        let crowd = (0..100).map(|_| async {
            let id = shop.orders.create(order(USER, &[(4001, 1)])).await?;
            other.orders.pay(id).await
        });
        assert!(join_all(crowd).await.iter().all(Result::is_ok));
    }
    let records: Vec<ReceivedRecord> = events.when(3 * ORDERS).await;
    assert_eq!(records.len(), 3 * ORDERS);
    let scans = async || -> (i64, i64) {
        let query = "SELECT coalesce(idx_scan, 0), seq_tup_read FROM pg_stat_user_tables WHERE relname = 'order_history'";
        sqlx::query_as(query).fetch_one(&backend.pools[1]).await.unwrap()
    };
    // One instance publishes, and has to read what the other one has written.
    let looked_up = i64::try_from(ORDERS).unwrap();
    let (_, scanned) = eventually(SOON, "each event was looked up by its index", async || {
        let (by_index, scanned) = scans().await;
        if by_index >= looked_up { Ok((by_index, scanned)) } else { Err((by_index, scanned)) }
    })
    .await;
    assert!(scanned < looked_up, "{scanned} rows of the history were read by scans");
    consumer.drain().await;
    shop.close().await;
    other.close().await;
}

#[actix::test]
async fn a_relay_that_is_ended_publishes_what_waits() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let (events, consumer) = Events::read(&backend);
    for user in [1, 5] {
        shop.orders.create(order(user, &[(1002, 1)])).await.unwrap();
    }
    events.when(4).await;
    consumer.drain().await;
    let crowd = (1..=40).map(|user| shop.orders.create(order(user, &[(1002, 1)])));
    assert!(join_all(crowd).await.iter().all(Result::is_ok));
    shop.close().await;
    for pool in &backend.pools {
        assert_eq!(count(pool, "outbox").await, 0);
    }
}
