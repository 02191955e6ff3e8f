-- The order of the last checkout, until it is certain that everyone who asked for it got it as the answer. Null after
-- that. A checkout of an empty cart is answered with it for some minutes, so that a lost answer loses no order.
alter table carts
    add column untold_order bigint,
    add column untold_at timestamptz,
    add check ((untold_order is null) = (untold_at is null));
