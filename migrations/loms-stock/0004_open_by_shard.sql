-- A sweeper looks at the open reservations of its own shard alone, by age: it need not pass over those of all others.
-- Nobody may wait long behind this one, which itself waits for whoever reads the table: it is tried again.
SET LOCAL lock_timeout = '2s';
-- First, and so with the lock that excludes all others from the start: no two wait for one another.
DROP INDEX reservations_created_at;
CREATE INDEX reservations_open ON reservations ((order_id % 1000), created_at, order_id) WHERE order_id > 0;
