-- The stock that a new shop begins with.

INSERT INTO stock (sku, total_count, reserved_count) VALUES
    (773297411, 150, 10),
    (1002, 200, 20),
    (1003, 250, 30),
    (1004, 300, 40),
    (1005, 350, 50);

INSERT INTO stock_seed (sku, total_count) SELECT sku, total_count FROM stock;

INSERT INTO reservations (order_id, skus, counts)
    SELECT -row_number() OVER (ORDER BY sku), ARRAY[sku], ARRAY[reserved_count] FROM stock;
