-- Dead letters that their topic did not take yet. They are published, and deleted here, as soon as it does.

create table dead_letters (
    topic text not null,
    partition integer not null,
    record_offset bigint not null,
    key bytea,
    payload bytea,
    header_names text[] not null,
    header_values bytea[] not null,
    reason text not null,
    kept_at timestamptz not null default now(),
    -- Until then a notifier is publishing it.
    claimed_until timestamptz,
    primary key (topic, partition, record_offset),
    check (cardinality(header_names) = cardinality(header_values))
);
