-- Stock and what is reserved of it. Shard 0 alone has these tables.

CREATE TABLE stock (
    sku            bigint PRIMARY KEY CHECK (sku BETWEEN 1 AND 4294967295),
    total_count    bigint NOT NULL,
    reserved_count bigint NOT NULL,
    CHECK (0 <= reserved_count AND reserved_count <= total_count)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

CREATE TABLE stock_seed (
    sku         bigint PRIMARY KEY REFERENCES stock,
    total_count bigint NOT NULL CHECK (total_count >= 0)
);
COMMENT ON TABLE stock_seed IS 'What the stock began with: total_count now is this less what was paid.';

CREATE TABLE reservations (
    order_id        bigint PRIMARY KEY,
    user_id         bigint,
    idempotency_key text,
    skus            bigint[] NOT NULL,
    counts          bigint[] NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (cardinality(skus) > 0 AND cardinality(skus) = cardinality(counts)),
    CHECK ((order_id < 0) = (user_id IS NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 20000);
COMMENT ON TABLE reservations IS
    'Open reservations: a row goes when its order is paid or given up, and so its stock is settled once. '
    'Those with a negative id belong to no order: they are what the seeded stock began with.';

CREATE UNIQUE INDEX reservations_idempotency_key ON reservations (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX reservations_created_at ON reservations (created_at);
