-- The items of orders under the name that people's own queries use.
CREATE VIEW items AS SELECT order_id, sku, count FROM order_items;
COMMENT ON VIEW items IS 'One row per item of an order, for queries by people.';
