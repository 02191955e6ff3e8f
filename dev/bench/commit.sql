-- For pgbench: the cheapest durable change.
\set sku random(1, :skus)
UPDATE stock SET total_count = total_count WHERE sku = :sku;
