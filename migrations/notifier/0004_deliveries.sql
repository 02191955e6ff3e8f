-- The inbox keeps one row per order. Each new event becomes one delivery per channel. The channels send the deliveries
-- after the commit, so that a slow channel delays neither the topic nor the other channels.
--
-- The tables `inbox`, `notifications` and `dead_letters` are those of the previous version, which may run beside this
-- one. This version adds nothing to them. It takes over letters that stay in `dead_letters`, and deletes old rows.

create table received_orders (
    order_id bigint primary key check (order_id > 0),
    -- The ids of the last events received, the newest first.
    event_ids uuid[] not null,
    -- The channels of each of these events, separated by commas.
    channels text[] not null,
    -- The ids that the last statement has added.
    added uuid[] not null,
    first_received_at timestamptz not null default now(),
    last_received_at timestamptz not null default now(),
    check (cardinality(event_ids) = cardinality(channels))
) with (fillfactor = 80);

create index received_orders_by_age on received_orders (first_received_at);

create table deliveries (
    channel text not null check (channel <> ''),
    order_id bigint not null check (order_id > 0),
    sequence integer not null check (sequence > 0),
    event_id uuid not null,
    order_state text not null,
    occurred_at timestamptz not null,
    status text not null default 'pending' check (status in ('pending', 'sent', 'dead')),
    -- Whether it was replayed by hand. Then it may be sent after later events of the order.
    replayed boolean not null default false,
    attempts integer not null default 0,
    -- How many of the attempts the channel has refused.
    refusals integer not null default 0,
    -- Why the last attempt failed.
    last_error text,
    -- When the next attempt may start. During an attempt: when another notifier may take it over.
    due_at timestamptz not null default now(),
    received_at timestamptz not null default now(),
    ended_at timestamptz,
    -- The record, with what a dead letter needs. Its contents are deleted when the delivery ends.
    topic text not null,
    partition integer not null,
    record_offset bigint not null,
    key bytea,
    payload bytea,
    header_names text[] not null,
    header_values bytea[] not null,
    primary key (channel, order_id, sequence, event_id),
    check ((status = 'pending') = (ended_at is null)),
    check (cardinality(header_names) = cardinality(header_values))
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

create index deliveries_due on deliveries (channel, due_at) where status = 'pending';
create index deliveries_pending on deliveries (channel, received_at) where status = 'pending';
create index deliveries_ended on deliveries (ended_at) where status <> 'pending';

-- Dead letters stay here until they are old. Kafka's topic gets a copy of each.
create table letters (
    id bigint generated always as identity primary key,
    topic text not null,
    partition integer not null,
    record_offset bigint not null,
    -- The channel that could not send it. Empty for a record that is not an event.
    channel text not null default '',
    -- The order, if the record's key is an order id.
    order_id bigint,
    key bytea,
    payload bytea,
    header_names text[] not null,
    header_values bytea[] not null,
    reason text not null,
    attempts integer not null,
    created_at timestamptz not null default now(),
    published_at timestamptz,
    -- Until this time, only the notifier that claimed the letter may publish it.
    claimed_until timestamptz,
    resolved_at timestamptz,
    resolution text check (resolution in ('replayed', 'dropped')),
    check ((resolved_at is null) = (resolution is null)),
    check (cardinality(header_names) = cardinality(header_values))
);

-- Reading a record again must not create a second letter. The payload is part of the key, because offsets start over
-- when a topic is deleted and created again.
create unique index letters_by_place on letters (topic, partition, record_offset, channel, md5(coalesce(payload, '')));
create index letters_unpublished on letters (id) where published_at is null;
create index letters_unresolved on letters (id) where resolved_at is null;
create index letters_by_age on letters (created_at);
create index letters_by_order on letters (order_id);
