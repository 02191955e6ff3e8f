-- For pgbench: one order of one piece in one statement, with the rows that loms writes for it.
\set user_id random(1, 1000000)
\set sku random(1, :skus)
WITH reserved AS (
  UPDATE stock SET reserved_count = reserved_count + 1
  WHERE sku = :sku AND total_count - reserved_count >= 1
  RETURNING sku
), numbered AS (
  SELECT nextval('order_id_seq') AS id, sku FROM reserved
), held AS (
  INSERT INTO reservations (order_id, user_id, skus, counts)
  SELECT id, :user_id, ARRAY[sku], ARRAY[1] FROM numbered
), placed AS (
  INSERT INTO orders (id, state, user_id, skus, counts, sequence, pay_before)
  SELECT id, 'AWAITING_PAYMENT', :user_id, ARRAY[sku], ARRAY[1], 2, now() + interval '10 minutes' FROM numbered
  RETURNING id
), history AS (
  INSERT INTO order_history (order_id, sequence, state)
  SELECT id, sequence, state FROM placed, (VALUES (1, 'NEW'), (2, 'AWAITING_PAYMENT')) AS change (sequence, state)
)
INSERT INTO outbox (order_ids, sequences, events) SELECT ARRAY[id, id], ARRAY[1, 2], 2 FROM placed;
