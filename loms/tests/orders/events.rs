//! Order events in Kafka.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::Arbiter;
use dev::testing::eventually;
use futures::FutureExt;
use futures::future::{LocalBoxFuture, join_all};
use kafka_actors::{ConsumerHandle, ConsumerOptions, ReceivedRecord, RecordSink, SinkError};
use loms::domain::NewOrder;
use serde_json::Value;

use crate::shop::{Backend, order};

const SOON: Duration = Duration::from_secs(20);

/// All records that were read, in the order of their partitions.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<Vec<ReceivedRecord>>>);

impl RecordSink for Events {
    fn deliver(
        &self,
        batch: Arc<[ReceivedRecord]>,
    ) -> LocalBoxFuture<'static, Result<(), SinkError>> {
        self.0.lock().unwrap().extend(batch.iter().cloned());
        futures::future::ready(Ok(())).boxed_local()
    }
}

impl Events {
    pub fn read(backend: &Backend) -> (Self, ConsumerHandle) {
        let events = Self::default();
        let topic = &backend.topic;
        let options =
            ConsumerOptions::new(&topic.host_port, format!("{}-reader", topic.name), &topic.name);
        let consumer = ConsumerHandle::start(options, &Arbiter::current(), events.clone());
        (events, consumer)
    }

    /// The records after the first `known` ones.
    pub fn since(&self, known: usize) -> Vec<ReceivedRecord> {
        self.0.lock().unwrap()[known..].to_vec()
    }

    pub async fn when(&self, count: usize) -> Vec<ReceivedRecord> {
        eventually(SOON, "every event is there", async || {
            let found = self.0.lock().unwrap().len();
            if found < count { Err(found) } else { Ok(()) }
        })
        .await;
        self.since(0)
    }
}

/// The sequences and states of each order, in the order of arrival.
pub fn stories(records: &[ReceivedRecord]) -> BTreeMap<i64, Vec<(i64, String)>> {
    let mut stories = BTreeMap::<i64, Vec<(i64, String)>>::new();
    for record in records {
        let event: Value = serde_json::from_slice(record.payload.as_deref().unwrap()).unwrap();
        let state = event["state"].as_str().unwrap().to_owned();
        let step = (event["sequence"].as_i64().unwrap(), state);
        stories.entry(event["id"].as_i64().unwrap()).or_default().push(step);
    }
    stories
}

pub fn story(states: &[&str]) -> Vec<(i64, String)> {
    (1..).zip(states.iter().map(|state| (*state).to_owned())).collect()
}

#[actix::test]
async fn every_change_of_an_order_is_told_once_and_in_order() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let (events, consumer) = Events::read(&backend);
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced =
        NewOrder { traceparent: Some(traceparent.to_owned()), ..order(1, &[(1002, 2), (1003, 1)]) };
    let paid = shop.orders.create(traced).await.unwrap();
    shop.orders.pay(paid).await.unwrap();
    let cancelled = shop.orders.create(order(5, &[(1002, 1)])).await.unwrap();
    shop.orders.cancel(cancelled).await.unwrap();
    shop.orders.create(order(5, &[(7, 1)])).await.unwrap_err();

    let records = events.when(8).await;
    let expected = BTreeMap::from([
        (1000, story(&["NEW", "AWAITING_PAYMENT", "CANCELLED"])),
        (1001, story(&["NEW", "AWAITING_PAYMENT", "PAYED"])),
        (2000, story(&["NEW", "FAILED"])),
    ]);
    assert_eq!(stories(&records), expected);
    let first = records.iter().find(|record| record.key.as_deref() == Some(b"1001")).unwrap();
    let event: Value = serde_json::from_slice(first.payload.as_deref().unwrap()).unwrap();
    assert_eq!(event["userId"], 1);
    assert_eq!(
        event["items"],
        serde_json::json!([{"sku": 1002, "count": 2}, {"sku": 1003, "count": 1}])
    );
    assert_eq!(first.headers.traceparent(), Some(traceparent));
    assert_eq!(first.headers.text("ce_source"), Some("/loms/shards/1"));
    assert_eq!(first.headers.text("ce_id"), event["eventId"].as_str());
    consumer.drain().await;
    shop.close().await;
}

#[actix::test]
async fn an_event_says_what_the_history_says_whether_the_relay_remembers_or_reads_it() {
    let backend = Backend::new().await;
    // Nothing is published yet. The second shop has to read what the first one has written.
    let first = backend.open(&[("KAFKA_BROKER", "127.0.0.1:1")]).await;
    for user in 1..=10 {
        first.orders.create(order(user, &[(1002, 1)])).await.unwrap();
    }
    first.close().await;
    let second = backend.open(&[]).await;
    let (events, consumer) = Events::read(&backend);
    for user in 1..=10 {
        second.orders.create(order(user, &[(1002, 1)])).await.unwrap();
    }
    let mut told: Vec<(i64, i64, String, String, String)> = Vec::new();
    for record in events.when(40).await {
        let event: Value = serde_json::from_slice(record.payload.as_deref().unwrap()).unwrap();
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        let (order, sequence) =
            (event["id"].as_i64().unwrap(), event["sequence"].as_i64().unwrap());
        told.push((order, sequence, text("state"), text("eventId"), text("occurredAt")));
    }
    let mut recorded = Vec::new();
    for pool in &backend.pools {
        let query = "SELECT order_id, sequence::bigint, state, event_id::text,
                to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')
            FROM order_history";
        let rows: Vec<(i64, i64, String, String, String)> =
            sqlx::query_as(query).fetch_all(pool).await.unwrap();
        recorded.extend(rows);
    }
    told.sort();
    recorded.sort();
    assert_eq!(told, recorded);
    consumer.drain().await;
    second.close().await;
}

#[actix::test]
async fn two_instances_tell_each_event_once_also_when_one_of_them_stops() {
    let backend = Backend::new().await;
    let shops = [backend.open(&[]).await, backend.open(&[]).await];
    let (events, consumer) = Events::read(&backend);
    let buy = |shop: usize, users: std::ops::Range<i64>| {
        let orders = &shops[shop].orders;
        join_all(users.map(move |user| async move {
            let id = orders.create(order(user, &[(1002, 1)])).await.unwrap();
            orders.pay(id).await.unwrap();
        }))
    };
    futures::join!(buy(0, 1..40), buy(1, 40..80));
    let [first, second] = shops;
    first.close().await;
    let id = second.orders.create(order(80, &[(1002, 1)])).await.unwrap();
    second.orders.pay(id).await.unwrap();

    let records = events.when(240).await;
    assert_eq!(records.len(), 240);
    let told = story(&["NEW", "AWAITING_PAYMENT", "PAYED"]);
    assert!(stories(&records).values().all(|story| *story == told), "{records:?}");
    backend.at_rest().await;
    consumer.drain().await;
    second.close().await;
}

#[actix::test]
async fn events_that_no_order_knows_are_set_aside_and_hold_nobody_up() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let (events, consumer) = Events::read(&backend);
    let known = shop.orders.create(order(1, &[(1002, 1)])).await.unwrap();
    events.when(2).await;
    // The unknown events come alone, many times, and next to an event that can be published.
    for (orders, sequences, events, times) in
        [(vec![900_001_i64], vec![1], 1, 1100), (vec![900_001, 1001], vec![2, 2], 2, 1)]
    {
        let insert = "INSERT INTO outbox (order_ids, sequences, events)
            SELECT $1::bigint[], $2::int[], $3 FROM generate_series(1, $4)";
        let insert = sqlx::query(insert).bind(orders).bind(sequences).bind(events).bind(times);
        insert.execute(&backend.pools[1]).await.unwrap();
    }
    shop.orders.pay(known).await.unwrap();
    let expected = [(1, "NEW"), (2, "AWAITING_PAYMENT"), (2, "AWAITING_PAYMENT"), (3, "PAYED")];
    let told = stories(&events.when(4).await).remove(&known.get()).unwrap();
    assert_eq!(told, expected.map(|(sequence, state)| (sequence, state.to_owned())));
    let left = async || {
        let left = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM outbox");
        left.fetch_one(&backend.pools[1]).await.unwrap() == 0
    };
    eventually(SOON, "the outbox is empty", left).await;
    let aside: Vec<(i64, i32)> =
        sqlx::query_as("SELECT order_id, sequence FROM unknown_events ORDER BY 2")
            .fetch_all(&backend.pools[1])
            .await
            .unwrap();
    assert_eq!(aside, [(900_001, 1), (900_001, 2)]);
    consumer.drain().await;
    shop.close().await;
}

#[actix::test]
async fn events_of_an_order_that_cannot_be_read_are_set_aside_and_hold_nobody_up() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let (events, consumer) = Events::read(&backend);
    let [broken, sound] =
        [shop.orders.create(order(1, &[(1002, 1)])), shop.orders.create(order(1, &[(1003, 1)]))];
    let (broken, sound) = (broken.await.unwrap(), sound.await.unwrap());
    events.when(4).await;
    let statement = "UPDATE orders SET counts = '{NULL}' WHERE id = $1";
    sqlx::query(statement).bind(broken.get()).execute(&backend.pools[1]).await.unwrap();
    shop.orders.pay(broken).await.unwrap();
    shop.orders.pay(sound).await.unwrap();
    let told = stories(&events.when(5).await).remove(&sound.get()).unwrap();
    assert_eq!(told.last().unwrap(), &(3, "PAYED".to_owned()));
    let aside: Vec<(i64, i32)> = sqlx::query_as("SELECT order_id, sequence FROM unknown_events")
        .fetch_all(&backend.pools[1])
        .await
        .unwrap();
    assert_eq!(aside, [(broken.get(), 3)]);
    consumer.drain().await;
    shop.close().await;
}
