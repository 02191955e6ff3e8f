-- Events of the outbox that neither an order nor the history knew when the relay came to them. There are none unless somebody
-- deleted rows by hand.
CREATE TABLE unknown_events (
    order_id   bigint NOT NULL,
    sequence   integer NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, sequence)
);
