//! Events: how fast the relay publishes a backlog, and how soon an order is notified.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use futures::future::try_join_all;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList};
use sqlx::Executor;

use super::orders::CONNECTIONS;
use super::{Goal, Sample, Workload};
use crate::bench::generators::{Load, Method, h2load};
use crate::bench::shop::{Counter, Parts, SKUS, Shop, create_order, orders};
use crate::testing::{Database, ServiceProcess, unique_topic};

/// The events of the backlog on each of the two shards.
const EVENTS_EACH: u64 = 100_000;
const EVENTS: u64 = 2 * EVENTS_EACH;
const PUBLISHED_WITHIN: Duration = Duration::from_mins(3);

pub const RELAY: Workload = Workload {
    name: "relay",
    what: "publish a backlog of 200,000 events, 100 per row of the outbox",
    limit: "the slower of bare DELETE … RETURNING of these rows and a bare rdkafka producer with these records",
    goal: Goal::AtLeast(0.7),
    once: false,
    run: |servers, _| {
        async move {
            let mut shop = Shop::start(servers, Parts::default()).await?;
            for (shard, number) in shop.shards.iter().zip(0_i64..) {
                let mut connection = shard.connect().await;
                for statement in [FAILED_ORDERS, THEIR_HISTORY] {
                    sqlx::query(statement).bind(number).execute(&mut connection).await?;
                }
                connection.execute("ANALYZE orders; ANALYZE order_history").await?;
            }
            let published = shop.counter(&["events_published_total"]);
            let ours = shop.measure(&published, publish(&shop.shards)).await?;
            shop.stop_services().await;
            let deleted = EVENTS as f64 / delete(&shop.shards).await?.as_secs_f64();
            let topic = shop.topic.name.clone();
            let broker = servers.kafka.clone();
            let copies = unique_topic(&broker, 2).await;
            let name = copies.name.clone();
            let produced =
                tokio::task::spawn_blocking(move || produce(&broker, &topic, &name)).await??;
            let produced = EVENTS as f64 / produced.as_secs_f64();
            let note = format!("DELETE: {deleted:.0} events/s, producer: {produced:.0} events/s");
            let sample = Sample::rate(&ours, Some(deleted.min(produced)));
            Ok(vec![("", Sample { note: Some(note), ..sample })])
        }
        .boxed_local()
    },
};

const FAILED_ORDERS: &str = "
INSERT INTO orders (id, state, user_id, skus, counts, sequence)
SELECT 1000000000000 + 1000 * n + $1, 'FAILED', 1, '{1}', '{1}', 2 FROM generate_series(1, 50000) n";
const THEIR_HISTORY: &str = "
INSERT INTO order_history (order_id, sequence, state)
SELECT 1000000000000 + 1000 * n + $1, sequence, state
FROM generate_series(1, 50000) n, (VALUES (1, 'NEW'), (2, 'FAILED')) AS change (sequence, state)";
const THEIR_EVENTS: &str = "
INSERT INTO outbox (order_ids, sequences, events)
SELECT array_agg(order_id ORDER BY order_id, sequence), array_agg(sequence ORDER BY order_id, sequence), count(*)
FROM order_history WHERE order_id > 1000000000000
GROUP BY order_id / 50000 ORDER BY order_id / 50000";

/// Writes the rows of the outbox, and waits until the relays have deleted them.
async fn publish(shards: &[Database]) -> Result<Load> {
    let publish = async |shard: &Database| {
        let mut connection = shard.connect().await;
        connection.execute(THEIR_EVENTS).await?;
        let begun = Instant::now();
        let some_wait = "SELECT EXISTS (SELECT FROM outbox)";
        while sqlx::query_scalar(some_wait).fetch_one(&mut connection).await? {
            ensure!(begun.elapsed() < PUBLISHED_WITHIN, "a backlog was not published in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(begun.elapsed())
    };
    let times = try_join_all(shards.iter().map(publish)).await?;
    let slowest = times.into_iter().max().unwrap_or_default();
    Ok(Load { answers: EVENTS, seconds: slowest.as_secs_f64(), ..Load::default() })
}

/// Writes the rows again, and deletes them on all shards at once, 1,000 events per statement.
async fn delete(shards: &[Database]) -> Result<Duration> {
    let delete = async |shard: &Database| -> Result<Duration> {
        let mut connection = shard.connect().await;
        connection.execute(THEIR_EVENTS).await?;
        let begun = Instant::now();
        let oldest = "
DELETE FROM outbox WHERE id = ANY (ARRAY(SELECT id FROM outbox ORDER BY id LIMIT 10))
RETURNING id, order_ids, sequences";
        while !sqlx::query(oldest).fetch_all(&mut connection).await?.is_empty() {}
        Ok(begun.elapsed())
    };
    let times = try_join_all(shards.iter().map(delete)).await?;
    Ok(times.into_iter().max().unwrap_or_default())
}

/// Counts the records that the broker has.
#[derive(Default)]
struct Delivered(AtomicU64);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        self.0.fetch_add(u64::from(result.is_ok()), Ordering::Relaxed);
    }
}

/// Reads the records of the backlog from a topic, and produces them to another topic. Returns how
/// long that took, without the reading.
fn produce(broker: &str, topic: &str, to: &str) -> Result<Duration> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker).set("group.id", "bench");
    let consumer: BaseConsumer = config.create()?;
    let mut first = TopicPartitionList::new();
    for partition in 0..2 {
        first.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&first)?;
    let mut records = Vec::new();
    while (records.len() as u64) < EVENTS {
        let record = consumer.poll(Duration::from_secs(20)).context("a record arrives")??;
        records.push(record.detach());
    }

    config.set("enable.idempotence", "true").set("compression.type", "lz4");
    let producer: BaseProducer<Delivered> = config.create_with_context(Delivered::default())?;
    let begun = Instant::now();
    for record in &records {
        let mut copy = BaseRecord::to(to)
            .key(record.key().unwrap_or_default())
            .payload(record.payload().unwrap_or_default());
        if let Some(headers) = record.headers() {
            copy = copy.headers(headers.clone());
        }
        while let Err((error, refused)) = producer.send(copy) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            ensure!(error == full, "the producer refuses a record: {error}");
            producer.poll(Duration::from_millis(10));
            copy = refused;
        }
    }
    producer.flush(PUBLISHED_WITHIN)?;
    let delivered = producer.context().0.load(Ordering::Relaxed);
    ensure!(delivered == EVENTS, "{delivered} of {EVENTS} records were delivered");
    Ok(begun.elapsed())
}

pub const NOTIFICATIONS: Workload = Workload {
    name: "notifications",
    what: "time from the change of an order to its notification, while orders arrive half as fast as possible: p99 in ms",
    limit: "none",
    goal: Goal::MsAtMost(100.0),
    once: false,
    run: |servers, lasting| {
        async move {
            let shop = Shop::start(servers, Parts::default()).await?;
            let full = shop.create_orders(CONNECTIONS, SKUS, 128, lasting).await?;
            let half = full.load.per_second() / 2.0;
            let own = (&shop.loms, shop.grpc);
            let one = delays(&shop, &[own], half, lasting).await?;
            let (mut other, port) = shop.another_loms().await;
            let two = delays(&shop, &[own, (&other, port)], half, lasting).await?;
            other.terminate().await;
            Ok(vec![("one loms", one), ("two loms", two)])
        }
        .boxed_local()
    },
};

/// The delays of notifications while orders are created by these instances of loms, each with its
/// gRPC port.
async fn delays(
    shop: &Shop,
    instances: &[(&ServiceProcess, u16)],
    rate: f64,
    lasting: Duration,
) -> Result<Sample> {
    let messages = orders(CONNECTIONS, SKUS);
    let before = histogram(shop).await?;
    let load = try_join_all(instances.iter().map(async |(_, port)| {
        let per_second = Some(rate / instances.len() as f64);
        let method = Method { per_second, ..create_order(*port) };
        h2load(method, &messages, 128, lasting).await
    }));
    let all = async {
        let loads = load.await?;
        let answers = loads.iter().map(|load| load.answers).sum();
        Ok(Load { answers, seconds: lasting.as_secs_f64(), ..Load::default() })
    };
    let parts = ["api_requests_total", "OrderCreate", "\"OK\""];
    let created = async || {
        let counters = instances.iter().map(|(loms, _)| Counter::of(loms, &parts));
        let counts = try_join_all(counters.map(async |counter| counter.read().await)).await?;
        Ok::<f64, anyhow::Error>(counts.iter().sum())
    };
    let begun = created().await?;
    let measured = shop.measure(&shop.counter(&parts), all).await?;
    let failed = (measured.load.answers as f64 - (created().await? - begun)).max(0.0);
    let after = histogram(shop).await?;
    let counts: Vec<(f64, f64)> =
        before.iter().zip(&after).map(|((le, before), (_, after))| (*le, after - before)).collect();
    let (p50, p99) = (quantile(&counts, 0.5) * 1e3, quantile(&counts, 0.99) * 1e3);
    let note = Some(format!("{:.0} orders per second", measured.load.per_second()));
    Ok(Sample { ours: p99, p50_ms: p50, p99_ms: p99, failed, note, ..Sample::default() })
}

/// How many notifications took at most so many seconds, in rising order.
async fn histogram(shop: &Shop) -> Result<Vec<(f64, f64)>> {
    let delays = shop.notifier_counter(&["notification_delay_seconds_bucket", "\"log\""])?;
    let bucket = |line: String| {
        let (_, le) = line.split_once("le=\"")?;
        let (le, _) = le.split_once('"')?;
        Some((le.parse().ok()?, line.rsplit(' ').next()?.parse().ok()?))
    };
    let mut buckets: Vec<(f64, f64)> =
        delays.samples().await?.into_iter().filter_map(bucket).collect();
    buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
    ensure!(!buckets.is_empty(), "the notifier counts no delays");
    Ok(buckets)
}

/// The value below which `share` of a cumulative histogram's values are. Within a bucket, the values
/// are taken to be spread evenly.
fn quantile(buckets: &[(f64, f64)], share: f64) -> f64 {
    let wanted = buckets.last().map_or(0.0, |(_, all)| all * share);
    let mut below = (0.0, 0.0);
    for (le, count) in buckets {
        if *count >= wanted && *count > below.1 {
            let part = (wanted - below.1) / (count - below.1);
            return if le.is_finite() { below.0 + (le - below.0) * part } else { below.0 };
        }
        below = (*le, *count);
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn a_quantile_lies_within_the_bucket_that_holds_it() {
        let buckets = [(0.1, 50.0), (0.2, 100.0), (f64::INFINITY, 100.0)];
        assert!((quantile(&buckets, 0.5) - 0.1).abs() < 1e-9);
        assert!((quantile(&buckets, 0.75) - 0.15).abs() < 1e-9);
        assert!(quantile(&[], 0.5).abs() < 1e-9);
    }
}
