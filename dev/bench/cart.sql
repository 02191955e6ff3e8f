-- For pgbench: writes the cart of one user.
\set user_id random(1, :users)
INSERT INTO carts (user_id, version, skus, counts) VALUES (:user_id, 1, '{1002}', '{1}')
ON CONFLICT (user_id) DO UPDATE
  SET version = carts.version + 1, skus = excluded.skus, counts = excluded.counts, updated_at = now();
