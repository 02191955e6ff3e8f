-- Finds the keys that are old enough to be forgotten without reading the orders that never had one.
CREATE INDEX orders_keys_by_age ON orders (created_at) WHERE idempotency_key IS NOT NULL;
