-- The order of the last checkout, until a request without a key has got it as its answer. Null after that. A checkout of
-- an empty cart is answered with it for some minutes, so that a lost answer loses no order.
--
-- `untold_version` is the version of the row that was written with it. A previous version of the service changes the row
-- without it, and what that one did is not known here.
alter table carts
    add column untold_order bigint,
    add column untold_at timestamptz,
    add column untold_version bigint,
    add check ((untold_order is null) = (untold_at is null) and (untold_order is null) = (untold_version is null));
