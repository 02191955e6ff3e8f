-- Orders of one shard. An order is one row, its items stand in two arrays of equal length: no join on the hot path.

CREATE TABLE shard_identity (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    shard    integer NOT NULL CHECK (shard BETWEEN 0 AND 999)
);
COMMENT ON TABLE shard_identity IS 'Which shard this database is, so that it is never taken for another one.';

CREATE TABLE orders (
    id              bigint PRIMARY KEY CHECK (id >= 1000),
    state           text NOT NULL CHECK (state IN ('NEW', 'AWAITING_PAYMENT', 'FAILED', 'PAYED', 'CANCELLED')),
    user_id         bigint NOT NULL CHECK (user_id > 0),
    skus            bigint[] NOT NULL,
    counts          bigint[] NOT NULL,
    idempotency_key text,
    sequence        integer NOT NULL CHECK (sequence > 0),
    pay_before      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (cardinality(skus) > 0 AND cardinality(skus) = cardinality(counts)),
    CHECK (state <> 'AWAITING_PAYMENT' OR pay_before IS NOT NULL)
);
COMMENT ON COLUMN orders.sequence IS 'The number of the last event of this order.';
COMMENT ON COLUMN orders.pay_before IS 'When an order that is still awaiting payment is cancelled.';

CREATE UNIQUE INDEX orders_idempotency_key ON orders (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX orders_pay_before ON orders (pay_before) WHERE state = 'AWAITING_PAYMENT';

CREATE VIEW order_items AS
    SELECT orders.id AS order_id, item.sku, item.count
    FROM orders CROSS JOIN LATERAL unnest(orders.skus, orders.counts) AS item (sku, count);

CREATE TABLE order_history (
    order_id    bigint NOT NULL,
    sequence    integer NOT NULL CHECK (sequence > 0),
    state       text NOT NULL CHECK (state IN ('NEW', 'AWAITING_PAYMENT', 'FAILED', 'PAYED', 'CANCELLED')),
    event_id    uuid NOT NULL DEFAULT gen_random_uuid(),
    occurred_at timestamptz NOT NULL DEFAULT now(),
    traceparent text,
    PRIMARY KEY (order_id, sequence)
);
COMMENT ON TABLE order_history IS 'One row a state change, written in its statement: no foreign key has to prove it.';

CREATE TABLE outbox (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_ids bigint[] NOT NULL,
    sequences integer[] NOT NULL,
    events    integer NOT NULL CHECK (events > 0),
    CHECK (cardinality(order_ids) = events AND cardinality(sequences) = events)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE outbox IS
    'Events that are not published yet, one row a statement that changed orders, in the order in which they happened. '
    'What they say stands in order_history and orders.';

CREATE TABLE stock_effects (
    order_id   bigint PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('TAKE', 'RETURN')),
    created_at timestamptz NOT NULL DEFAULT now()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
COMMENT ON TABLE stock_effects IS 'What paid and cancelled orders still have to do to the stock.';
