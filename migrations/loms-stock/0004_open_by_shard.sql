-- A sweeper looks at the open reservations of its own shard alone, by age: it need not pass over those of all others.
CREATE INDEX reservations_open ON reservations ((order_id % 1000), created_at, order_id) WHERE order_id > 0;
DROP INDEX reservations_created_at;
