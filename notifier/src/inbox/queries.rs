//! The SQL of the inbox.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use service_kit::database::{Pool, observe};
use shared_actors::fits;
use uuid::Uuid;

use super::actor::Incoming;

/// How many ids of events are remembered per order: many more than an order has states.
const EVENTS_PER_ORDER: i64 = 100;

/// What is stored about the events of a batch and their orders.
pub(super) struct Known {
    /// The events that were received before, and others of the same orders.
    pub events: HashSet<Uuid>,
    /// The orders that have pending deliveries, by channel.
    pub waiting: HashSet<(String, i64)>,
}

#[derive(sqlx::FromRow)]
struct KnownRow {
    order_id: i64,
    event_ids: Vec<Uuid>,
    waiting: Vec<String>,
}

const KNOWN: &str = "
SELECT order_id, event_ids, ARRAY(
    SELECT DISTINCT channel FROM deliveries
    WHERE channel = ANY ($2) AND deliveries.order_id = known.order_id AND status = 'pending') AS waiting
FROM received_orders AS known WHERE order_id = ANY ($1)
UNION ALL
SELECT order_id, ARRAY[event_id], '{}' FROM inbox WHERE event_id = ANY ($3)";

/// Which events are already stored, by this version or the previous one, and which orders have
/// pending deliveries in `channels`.
pub(super) async fn known(
    pool: &Pool,
    batch: &[Incoming],
    channels: &[&str],
) -> Result<Known, sqlx::Error> {
    let orders: BTreeSet<i64> = batch.iter().map(|incoming| incoming.event.order_id).collect();
    let events: Vec<Uuid> = batch.iter().map(|incoming| incoming.event.event_id).collect();
    let orders: Vec<i64> = orders.into_iter().collect();
    let query = sqlx::query_as(KNOWN).bind(orders).bind(channels).bind(events);
    let rows: Vec<KnownRow> = observe("known_events", query.fetch_all(pool)).await?;
    let mut known = Known { events: HashSet::new(), waiting: HashSet::new() };
    for KnownRow { order_id, event_ids, waiting } in rows {
        known.events.extend(event_ids);
        known.waiting.extend(waiting.into_iter().map(|channel| (channel, order_id)));
    }
    Ok(known)
}

/// Marks a channel of an event that was sent at once, and therefore has no delivery.
pub(crate) const SENT_AT_ONCE: char = '!';

/// An event to store, with the names of the channels that want it.
pub(super) struct NewEvent<'a> {
    pub incoming: &'a Incoming,
    /// The channels that have sent it.
    pub sent: Vec<&'static str>,
    /// The channels that get a delivery.
    pub queued: Vec<&'static str>,
}

impl NewEvent<'_> {
    /// The channel has sent the event and gets no delivery.
    pub fn is_sent(&mut self, channel: &'static str) {
        self.queued.retain(|queued| *queued != channel);
        self.sent.push(channel);
    }

    /// All channels, separated by commas.
    fn channels(&self) -> String {
        let sent = self.sent.iter().map(|name| format!("{name}{SENT_AT_ONCE}"));
        sent.chain(self.queued.iter().map(|name| (*name).to_owned())).collect::<Vec<_>>().join(",")
    }
}

/// All notifiers write the orders in ascending order, so that two of them with the same orders
/// cannot deadlock.
const RECEIVE: &str = "
WITH received AS (
    INSERT INTO received_orders AS known (order_id, event_ids, channels, added)
    SELECT order_id, array_agg(event_id ORDER BY position DESC), array_agg(channels ORDER BY position DESC), array_agg(event_id)
    FROM unnest($1::bigint[], $2::uuid[], $3::text[]) WITH ORDINALITY AS event (order_id, event_id, channels, position)
    GROUP BY order_id ORDER BY order_id
    ON CONFLICT (order_id) DO UPDATE SET (event_ids, channels) = (
            SELECT array_agg(id ORDER BY age), array_agg(channels ORDER BY age) FROM (
                SELECT id, min(age) AS age, (array_agg(every.channels ORDER BY age DESC))[1] AS channels
                FROM unnest(excluded.event_ids || known.event_ids, excluded.channels || known.channels)
                    WITH ORDINALITY AS every (id, channels, age)
                GROUP BY id ORDER BY min(age) LIMIT $4) AS kept),
        added = ARRAY(SELECT unnest(excluded.event_ids) EXCEPT SELECT unnest(known.event_ids)),
        last_received_at = now()
    WHERE NOT known.event_ids @> excluded.event_ids
    RETURNING order_id, added
), new AS (
    SELECT order_id, unnest(added) AS event_id FROM received
), header AS (
    SELECT position, array_agg(name ORDER BY index) AS names, array_agg(value ORDER BY index) AS values
    FROM unnest($15::bigint[], $16::text[], $17::bytea[]) WITH ORDINALITY AS header (position, name, value, index)
    GROUP BY position
), delivery AS (
    INSERT INTO deliveries (channel, order_id, sequence, event_id, order_state, occurred_at,
        topic, partition, record_offset, key, payload, header_names, header_values)
    SELECT channel, order_id, sequence, event_id, order_state, occurred_at,
        topic, partition, record_offset, key, payload, coalesce(header.names, '{}'), coalesce(header.values, '{}')
    FROM unnest($5::bigint[], $6::uuid[], $7::text[], $8::integer[], $9::text[], $10::timestamptz[],
            $11::text[], $12::integer[], $13::bigint[], $14::bytea[], $18::bytea[])
        WITH ORDINALITY AS queued (order_id, event_id, channels, sequence, order_state, occurred_at,
            topic, partition, record_offset, key, payload, position)
        JOIN new USING (order_id, event_id)
        LEFT JOIN header USING (position)
        CROSS JOIN LATERAL unnest(string_to_array(queued.channels, ',')) AS channel
    ORDER BY position
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM new";

/// Stores the events that are still new, and a delivery of each for every channel that is to get
/// one. Returns how many events are new. If another notifier is storing events of the same orders,
/// the statement waits for it.
pub(super) async fn receive(pool: &Pool, events: &[NewEvent<'_>]) -> Result<u64, sqlx::Error> {
    let all = || events.iter().map(|new| &new.incoming.event);
    // Only deliveries contain the record.
    let queued = || events.iter().filter(|new| !new.queued.is_empty());
    let event = || queued().map(|new| &new.incoming.event);
    let record = || queued().map(|new| new.incoming.record());
    let (mut positions, mut names, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (position, record) in (1_i64..).zip(record()) {
        for (name, value) in record.headers.iter() {
            positions.push(position);
            names.push(name);
            values.push(value);
        }
    }
    let query = sqlx::query_scalar(RECEIVE)
        .bind(all().map(|event| event.order_id).collect::<Vec<_>>())
        .bind(all().map(|event| event.event_id).collect::<Vec<_>>())
        .bind(events.iter().map(NewEvent::channels).collect::<Vec<_>>())
        .bind(EVENTS_PER_ORDER)
        .bind(event().map(|event| event.order_id).collect::<Vec<_>>())
        .bind(event().map(|event| event.event_id).collect::<Vec<_>>())
        .bind(queued().map(|new| new.queued.join(",")).collect::<Vec<_>>())
        .bind(event().map(|event| event.sequence.get().cast_signed()).collect::<Vec<_>>())
        .bind(event().map(|event| event.state.as_str()).collect::<Vec<_>>())
        .bind(event().map(|event| event.occurred_at).collect::<Vec<_>>())
        .bind(record().map(|record| record.topic.as_str()).collect::<Vec<_>>())
        .bind(record().map(|record| record.partition).collect::<Vec<_>>())
        .bind(record().map(|record| record.offset).collect::<Vec<_>>())
        .bind(record().map(|record| record.key.as_deref()).collect::<Vec<_>>())
        .bind(positions)
        .bind(names)
        .bind(values)
        .bind(record().map(|record| record.payload.as_deref()).collect::<Vec<_>>());
    let new: i64 = observe("receive_events", query.fetch_one(pool)).await?;
    Ok(fits(new))
}

/// Statements that delete up to `$2` rows that are older than `$1` seconds. An order is forgotten
/// after its last event, a delivery after it has ended.
const FORGET: [(&str, &str); 4] = [
    (
        "forget_deliveries",
        "WITH old AS MATERIALIZED ( \
             SELECT channel, order_id, sequence, event_id FROM deliveries \
             WHERE status <> 'pending' AND ended_at < now() - make_interval(secs => $1) \
             ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
         DELETE FROM deliveries USING old \
         WHERE deliveries.channel = old.channel AND deliveries.order_id = old.order_id \
             AND deliveries.sequence = old.sequence AND deliveries.event_id = old.event_id",
    ),
    (
        "forget_orders",
        "WITH old AS MATERIALIZED ( \
             SELECT order_id FROM received_orders \
             WHERE first_received_at < now() - make_interval(secs => $1) \
                 AND last_received_at < now() - make_interval(secs => $1) \
             ORDER BY first_received_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
         DELETE FROM received_orders USING old WHERE received_orders.order_id = old.order_id",
    ),
    (
        "forget_letters",
        "WITH old AS MATERIALIZED ( \
             SELECT id FROM letters WHERE published_at IS NOT NULL \
                 AND created_at < now() - make_interval(secs => $1) \
             ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
         DELETE FROM letters USING old WHERE letters.id = old.id",
    ),
    (
        "forget_events",
        "WITH old AS MATERIALIZED ( \
             SELECT event_id FROM inbox WHERE received_at < now() - make_interval(secs => $1) \
             ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED) \
         DELETE FROM inbox USING old WHERE inbox.event_id = old.event_id",
    ),
];

/// Deletes up to `limit` rows of each table that are older than `ttl`, and returns the highest
/// number of rows deleted from one table.
pub(super) async fn forget(pool: &Pool, ttl: Duration, limit: u32) -> Result<u64, sqlx::Error> {
    let mut most = 0;
    for (category, statement) in FORGET {
        let query = sqlx::query(statement).bind(ttl.as_secs_f64()).bind(i64::from(limit));
        most = most.max(observe(category, query.execute(pool)).await?.rows_affected());
    }
    Ok(most)
}
