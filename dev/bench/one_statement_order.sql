\set user_id random(1, 1000000)
\set sku random(1, :sku_max)
WITH reserved AS (
  UPDATE bench_stock SET reserved_count = reserved_count + 1
  WHERE sku = :sku AND total_count - reserved_count >= 1
  RETURNING sku
), placed AS (
  INSERT INTO bench_orders (user_id, state, skus, counts)
  SELECT :user_id, 'AWAITING_PAYMENT', ARRAY[sku], ARRAY[1] FROM reserved
  RETURNING id
)
INSERT INTO bench_events (order_id, sequence, state)
SELECT id, sequence, state FROM placed, (VALUES (1, 'NEW'), (2, 'AWAITING_PAYMENT')) AS event(sequence, state);
