-- Each number of shards that the orders were spread over, and since when. The highest one is how many there are at least: an
-- instance that knows fewer would lose the orders of the others from sight. The others tell where the earlier orders of a user,
-- and their keys, stand.
CREATE TABLE shard_layouts (
    shards     integer PRIMARY KEY CHECK (shards > 0),
    first_used timestamptz NOT NULL DEFAULT now()
);
INSERT INTO shard_layouts (shards) SELECT shards FROM shard_identity WHERE shards IS NOT NULL;
ALTER TABLE shard_identity DROP COLUMN shards;
