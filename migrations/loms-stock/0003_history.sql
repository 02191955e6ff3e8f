-- What operators did to the stock. What orders did to it stands in their own history.

CREATE TABLE stock_history (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id        uuid NOT NULL DEFAULT gen_random_uuid(),
    sku             bigint NOT NULL REFERENCES stock,
    count           bigint NOT NULL CHECK (count <> 0),
    total_count     bigint NOT NULL,
    reserved_count  bigint NOT NULL,
    idempotency_key text NOT NULL UNIQUE,
    occurred_at     timestamptz NOT NULL DEFAULT now(),
    traceparent     text
);
COMMENT ON TABLE stock_history IS
    'One row a restock: how many pieces came (or went, below 0), and what the stock was then. A repeated key is answered from it.';
COMMENT ON TABLE stock_seed IS 'What the stock began with: total_count now is this and what stock_history says, less what was paid.';

CREATE INDEX stock_history_sku ON stock_history (sku, id);
