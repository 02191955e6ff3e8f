-- Events that Kafka refuses for good, such as one that is too large, and later events of the same orders, which must not
-- come before them.
CREATE TABLE refused_events (
    order_id   bigint NOT NULL,
    sequence   integer NOT NULL,
    reason     text NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, sequence)
);

CREATE FUNCTION take_up_events() RETURNS bigint LANGUAGE sql AS $$
    WITH refused AS (DELETE FROM refused_events RETURNING order_id, sequence),
    unknown AS (DELETE FROM unknown_events RETURNING order_id, sequence),
    taken AS (SELECT * FROM refused UNION SELECT * FROM unknown),
    back AS (
        INSERT INTO outbox (id, order_ids, sequences, events) OVERRIDING SYSTEM VALUE
        SELECT least((SELECT min(id) FROM outbox), 0) - 1,
            array_agg(order_id ORDER BY order_id, sequence),
            array_agg(sequence ORDER BY order_id, sequence),
            count(*)
        FROM taken HAVING count(*) > 0
        RETURNING events
    )
    SELECT coalesce(sum(events), 0)::bigint FROM back
$$;
COMMENT ON FUNCTION take_up_events() IS
    'Lets the relay try again what it has set aside, before everything else that waits: call it when the cause is mended.';
