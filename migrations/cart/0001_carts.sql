-- Which shard this database is, and of how many: carts are found by user id modulo the number of shards, so another
-- number would lose them from sight.
create table shard_identity (
    only_row boolean primary key default true check (only_row),
    shard integer not null,
    shards integer not null,
    check (0 <= shard and shard < shards)
);

-- One row a user who ever had a cart. Each change raises the version by one, which is what keeps two writers apart; a
-- row is therefore kept when its cart is empty.
create table carts (
    user_id bigint primary key check (user_id > 0),
    version bigint not null check (version > 0),
    skus bigint[] not null,
    counts integer[] not null,
    updated_at timestamptz not null default now(),
    check (cardinality(skus) = cardinality(counts)),
    check (0 < all (skus) and 4294967296 > all (skus)),
    check (0 < all (counts) and 65536 > all (counts))
) with (fillfactor = 70);

-- The carts line by line, for people's own queries.
create view cart_lines as
select user_id, line.sku, line.count
from carts, unnest(skus, counts) as line (sku, count);

-- A checkout whose outcome is not settled yet. The id is the idempotency key of its order.
create table checkout_intents (
    id uuid primary key,
    user_id bigint not null unique references carts,
    skus bigint[] not null,
    counts integer[] not null,
    key text,
    created_at timestamptz not null default now(),
    check (cardinality(skus) > 0 and cardinality(skus) = cardinality(counts)),
    check (0 < all (counts))
);
create index checkout_intents_created_at on checkout_intents (created_at);

-- What was answered to requests with an Idempotency-Key, written in the transaction of the change. `request` is the
-- request in one canonical line; `order_id` is the answer to a checkout.
create table idempotency_keys (
    user_id bigint not null,
    key text not null,
    request text not null,
    order_id bigint,
    created_at timestamptz not null default now(),
    primary key (user_id, key)
);
create index idempotency_keys_created_at on idempotency_keys (created_at);
