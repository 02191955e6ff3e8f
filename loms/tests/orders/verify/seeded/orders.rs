//! Invalid orders, changes, events and effects.

use super::{Corruption, wrong};

pub const CORRUPTIONS: &[Corruption] = &[
    wrong(
        "an order has a line of nothing",
        "order-lines-valid",
        &[5001],
        &[(1, "UPDATE orders SET counts = '{0}' WHERE id = 5001")],
    ),
    wrong(
        "an order has a line twice",
        "order-lines-valid",
        &[5001],
        &[(1, "UPDATE orders SET skus = '{1002,1002}', counts = '{1,1}' WHERE id = 5001")],
    ),
    wrong(
        "a key led to two orders",
        "order-key-unique",
        &[5001],
        &[
            (1, "DROP INDEX orders_idempotency_key"),
            (1, "UPDATE orders SET idempotency_key = 'k' WHERE id IN (2001, 5001)"),
        ],
    ),
    wrong(
        "an order stands on the wrong shard",
        "order-id-names-shard",
        &[6001],
        &[
            (0, "INSERT INTO orders VALUES (6001, 'FAILED', 1, '{1002}', '{1}', NULL, 2)"),
            (0, "INSERT INTO order_history VALUES (6001, 1, 'NEW'), (6001, 2, 'FAILED')"),
        ],
    ),
    wrong(
        "the sequence fell behind the orders",
        "order-id-given",
        &[3001, 4001, 5001],
        &[(1, "SELECT setval('order_id_seq', 2001)")],
    ),
    wrong(
        "an order is on a shard that its user never had",
        "order-on-users-shard",
        &[5001],
        &[(1, "UPDATE orders SET user_id = 5 WHERE id = 5001")],
    ),
    wrong(
        "changes of no order",
        "history-has-order",
        &[6001],
        &[(1, "INSERT INTO order_history VALUES (6001, 1, 'NEW'), (6001, 2, 'FAILED')")],
    ),
    wrong(
        "a change is missing",
        "history-gapless",
        &[1001],
        &[(1, "DELETE FROM order_history WHERE order_id = 1001 AND sequence = 2")],
    ),
    wrong(
        "a number is left out",
        "history-gapless",
        &[1001],
        &[
            (1, "UPDATE order_history SET sequence = 4 WHERE order_id = 1001 AND sequence = 3"),
            (1, "UPDATE orders SET sequence = 4 WHERE id = 1001"),
        ],
    ),
    wrong(
        "an order was paid after it had been cancelled",
        "history-legal",
        &[1001],
        &[(1, "UPDATE order_history SET state = 'CANCELLED' WHERE order_id = 1001 AND sequence = 2")],
    ),
    wrong(
        "an order did not begin as a new one",
        "history-legal",
        &[5001],
        &[(1, "UPDATE order_history SET state = 'FAILED' WHERE order_id = 5001")],
    ),
    wrong(
        "the last change is missing",
        "order-sequence-is-last",
        &[5001],
        &[(1, "DELETE FROM order_history WHERE order_id = 5001 AND sequence = 2")],
    ),
    wrong(
        "all changes of an order are missing",
        "order-sequence-is-last",
        &[5001],
        &[(1, "DELETE FROM order_history WHERE order_id = 5001")],
    ),
    wrong(
        "an order is not in the state that its history leads to",
        "order-state-is-last",
        &[5001],
        &[(1, "UPDATE orders SET state = 'CANCELLED' WHERE id = 5001")],
    ),
    wrong(
        "two changes have one event",
        "event-ids-unique",
        &[1001, 2001],
        &[(
            1,
            "UPDATE order_history SET event_id = (SELECT event_id FROM order_history WHERE order_id = 1001 AND sequence = 1)
             WHERE order_id = 2001 AND sequence = 3",
        )],
    ),
    wrong(
        "an event waits of a change that never was",
        "outbox-has-history",
        &[1001],
        &[(1, "INSERT INTO outbox (order_ids, sequences, events) VALUES ('{1001}', '{4}', 1)")],
    ),
    wrong(
        "an event was set aside because no history knew it",
        "outbox-has-history",
        &[1001],
        &[(1, "INSERT INTO unknown_events (order_id, sequence) VALUES (1001, 4)")],
    ),
    wrong(
        "an event was set aside because Kafka refused it",
        "outbox-has-history",
        &[1001],
        &[(1, "INSERT INTO refused_events (order_id, sequence, reason) VALUES (1001, 2, 'too large')")],
    ),
    wrong(
        "an event waits twice",
        "outbox-once",
        &[3001],
        &[(1, "INSERT INTO outbox (order_ids, sequences, events) VALUES ('{3001}', '{2}', 1), ('{3001}', '{2}', 1)")],
    ),
    wrong(
        "events wait in the wrong order",
        "outbox-in-order",
        &[3001],
        &[(1, "INSERT INTO outbox (order_ids, sequences, events) VALUES ('{3001,3001}', '{2,1}', 2)")],
    ),
    wrong(
        "an event is lost between two that wait",
        "outbox-complete",
        &[1001],
        &[(1, "INSERT INTO outbox (order_ids, sequences, events) VALUES ('{1001,1001}', '{1,3}', 2)")],
    ),
    wrong(
        "an effect is of an order that is not settled",
        "effect-fits-order",
        &[3001],
        &[(1, "INSERT INTO stock_effects VALUES (3001, 'TAKE')")],
    ),
    wrong(
        "an effect was set aside because the stock does not admit it",
        "effect-not-refused",
        &[3001],
        &[
            (1, "UPDATE orders SET state = 'PAYED', sequence = 3, updated_at = now() WHERE id = 3001"),
            (1, "INSERT INTO order_history (order_id, sequence, state) VALUES (3001, 3, 'PAYED')"),
            (1, "INSERT INTO stock_effects VALUES (3001, 'TAKE', now(), now())"),
        ],
    ),
    wrong(
        "an effect would give back what was paid",
        "effect-fits-order",
        &[1001],
        &[(1, "INSERT INTO stock_effects VALUES (1001, 'RETURN')")],
    ),
];
