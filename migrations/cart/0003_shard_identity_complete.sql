-- True once the databases of all shards are claimed. From then on, a database without an identity is no new shard, but
-- stands where a shard was lost. A previous version of the service claims each database by itself, and those that it
-- claimed are in use.
alter table shard_identity add column complete boolean not null default true;
