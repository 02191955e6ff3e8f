-- The order of the last checkout, if a request without a key waited for it, or if an attempt was interrupted. For ten
-- minutes, a checkout of the empty cart is answered with it. Null once a request has received it.
--
-- `unreported_version` equals `version` if the last writer knows these columns. An instance of the previous version of the
-- service increments only `version`. The order is then ignored, because it may be outdated.
alter table carts
    add column unreported_order bigint,
    add column unreported_at timestamptz,
    add column unreported_version bigint,
    add check (
        (unreported_order is null) = (unreported_at is null)
        and (unreported_order is null) = (unreported_version is null)
    );
