//! The SQL of the inbox.

use std::time::Duration;

use service_kit::database::{Pool, observe};
use shared_actors::fits;

use super::actor::Incoming;
use crate::channels::EnabledChannel;
use crate::events::OrderEvent;

/// How many ids of events are remembered per order: many more than an order has states.
const EVENTS_PER_ORDER: i64 = 100;

/// Stores the events that are new, and a delivery of each for every channel that wants its state.
/// Returns how many events are new. If another notifier is storing events
/// of the same orders, the statement waits for it.
pub(super) async fn receive(
    pool: &Pool,
    batch: &[Incoming],
    channels: &[EnabledChannel],
) -> Result<u64, sqlx::Error> {
    // All notifiers write the orders in ascending order, so that two of them with the same orders
    // cannot deadlock. Copies of an event within a batch count once.
    let statement = "WITH event AS ( \
             SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::integer[], $4::text[], $5::timestamptz[], \
                 $6::text[], $7::integer[], $8::bigint[], $9::bytea[], $10::bytea[], $11::text[]) WITH ORDINALITY \
                 AS event (event_id, order_id, sequence, order_state, occurred_at, \
                     topic, partition, record_offset, key, payload, channels, position)), \
         header AS ( \
             SELECT position, array_agg(name ORDER BY index) AS names, array_agg(value ORDER BY index) AS values \
             FROM unnest($12::bigint[], $13::text[], $14::bytea[]) WITH ORDINALITY \
                 AS header (position, name, value, index) GROUP BY position), \
         first AS ( \
             SELECT DISTINCT ON (order_id, event_id) order_id, event_id, channels FROM event \
             WHERE NOT EXISTS (SELECT FROM inbox WHERE inbox.event_id = event.event_id) \
             ORDER BY order_id, event_id, position), \
         received AS ( \
             INSERT INTO received_orders AS known (order_id, event_ids, channels, added) \
             SELECT order_id, array_agg(event_id ORDER BY event_id), array_agg(channels ORDER BY event_id), \
                 array_agg(event_id) FROM first GROUP BY order_id ORDER BY order_id \
             ON CONFLICT (order_id) DO UPDATE SET (event_ids, channels) = ( \
                     SELECT array_agg(id ORDER BY age), array_agg(channels ORDER BY age) FROM ( \
                         SELECT id, min(age) AS age, (array_agg(every.channels ORDER BY age DESC))[1] AS channels \
                         FROM unnest(excluded.event_ids || known.event_ids, excluded.channels || known.channels) \
                             WITH ORDINALITY AS every (id, channels, age) \
                         GROUP BY id ORDER BY min(age) LIMIT $15) AS kept), \
                 added = ARRAY(SELECT unnest(excluded.event_ids) EXCEPT SELECT unnest(known.event_ids)), \
                 last_received_at = now() \
             WHERE NOT known.event_ids @> excluded.event_ids \
             RETURNING order_id, added), \
         new AS ( \
             SELECT DISTINCT ON (event.order_id, event.event_id) event.* \
             FROM event JOIN received ON received.order_id = event.order_id AND event.event_id = ANY (received.added) \
             ORDER BY event.order_id, event.event_id, event.position), \
         delivery AS ( \
             INSERT INTO deliveries (channel, order_id, sequence, event_id, order_state, occurred_at, \
                 topic, partition, record_offset, key, payload, header_names, header_values) \
             SELECT channel, new.order_id, new.sequence, new.event_id, new.order_state, new.occurred_at, \
                 new.topic, new.partition, new.record_offset, new.key, new.payload, \
                 coalesce(header.names, '{}'), coalesce(header.values, '{}') \
             FROM new CROSS JOIN LATERAL unnest(string_to_array(new.channels, ',')) AS channel \
             LEFT JOIN header ON header.position = new.position \
             ORDER BY new.position \
             ON CONFLICT DO NOTHING) \
         SELECT count(*) FROM new";
    let events = || batch.iter().map(|incoming| &incoming.event);
    let records = || batch.iter().map(|incoming| &incoming.record);
    let (mut positions, mut names, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (position, record) in (1_i64..).zip(records()) {
        for (name, value) in record.headers.iter() {
            positions.push(position);
            names.push(name);
            values.push(value);
        }
    }
    let wanted = |event: &OrderEvent| {
        let wants = channels.iter().filter(|enabled| enabled.states.contains(&event.state));
        wants.map(|enabled| enabled.channel.name()).collect::<Vec<_>>().join(",")
    };
    let query = sqlx::query_scalar(statement)
        .bind(events().map(|event| event.event_id).collect::<Vec<_>>())
        .bind(events().map(|event| event.order_id).collect::<Vec<_>>())
        .bind(events().map(|event| event.sequence.get().cast_signed()).collect::<Vec<_>>())
        .bind(events().map(|event| event.state.as_str()).collect::<Vec<_>>())
        .bind(events().map(|event| event.occurred_at).collect::<Vec<_>>())
        .bind(records().map(|record| record.topic.as_str()).collect::<Vec<_>>())
        .bind(records().map(|record| record.partition).collect::<Vec<_>>())
        .bind(records().map(|record| record.offset).collect::<Vec<_>>())
        .bind(records().map(|record| record.key.as_deref()).collect::<Vec<_>>())
        .bind(records().map(|record| record.payload.as_deref()).collect::<Vec<_>>())
        .bind(events().map(wanted).collect::<Vec<_>>())
        .bind(positions)
        .bind(names)
        .bind(values)
        .bind(EVENTS_PER_ORDER);
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
