-- An effect that the stock refuses is set aside: it is tried again, and blocks no later one.
ALTER TABLE stock_effects ADD COLUMN refused_at timestamptz;
COMMENT ON COLUMN stock_effects.refused_at IS
    'When the stock last refused the effect, because the row of a SKU no longer admits it; null when it never did.';
