-- For pgbench: pays one order of shard 0 after the other, from :first on, with its history and its event.
WITH paid AS (
  UPDATE orders SET state = 'PAYED', sequence = sequence + 1, pay_before = NULL, updated_at = now()
  WHERE id = (SELECT :first + 1000 * nextval('bench_order')) AND state = 'AWAITING_PAYMENT'
  RETURNING id, sequence
), history AS (
  INSERT INTO order_history (order_id, sequence, state) SELECT id, sequence, 'PAYED' FROM paid
)
INSERT INTO outbox (order_ids, sequences, events) SELECT ARRAY[id], ARRAY[sequence], 1 FROM paid;
