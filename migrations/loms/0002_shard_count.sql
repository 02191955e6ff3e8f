-- How many shards the orders have been spread over: an instance that knows fewer would lose the orders of the others
-- from sight. Unknown in a database that was made before, until the next start.
ALTER TABLE shard_identity ADD COLUMN shards integer CHECK (shards > 0);
