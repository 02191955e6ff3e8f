-- What has been taken from the topic, so that a redelivery does nothing, and what was sent because of it.

create table inbox (
    event_id uuid primary key,
    order_id bigint not null check (order_id > 0),
    sequence integer not null check (sequence > 0),
    state text not null,
    received_at timestamptz not null default now()
);

create index inbox_by_order on inbox (order_id, sequence);

create table notifications (
    event_id uuid not null references inbox (event_id) on delete cascade,
    channel text not null,
    text text not null,
    created_at timestamptz not null default now(),
    primary key (event_id, channel)
);
