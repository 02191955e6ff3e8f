//! Invalid stock and reservations.

use super::{Corruption, wrong};

const STOCK: usize = 0;

/// Sets reserved counts to match the reservations, so that only the reservation itself is wrong.
const RECOUNT: (usize, &str) = (
    STOCK,
    "UPDATE stock SET reserved_count = coalesce((
        SELECT sum(count) FROM reservations, unnest(skus, counts) AS item (sku, count) WHERE item.sku = stock.sku
    ), 0)",
);

pub const CORRUPTIONS: &[Corruption] = &[
    wrong(
        "more is reserved than there is",
        "stock-within-bounds",
        &[7],
        &[
            (STOCK, "ALTER TABLE stock DROP CONSTRAINT stock_check"),
            (STOCK, "INSERT INTO stock VALUES (7, 1, 2)"),
            (STOCK, "INSERT INTO stock_seed VALUES (7, 1)"),
            (STOCK, "INSERT INTO reservations (order_id, skus, counts) VALUES (-7, '{7}', '{2}')"),
        ],
    ),
    wrong(
        "reserved is off by one",
        "stock-reserved-is-held",
        &[1002],
        &[(STOCK, "UPDATE stock SET reserved_count = reserved_count + 1 WHERE sku = 1002")],
    ),
    wrong(
        "a reservation that the stock was seeded with is gone",
        "stock-reserved-is-held",
        &[1005],
        &[(STOCK, "DELETE FROM reservations WHERE order_id < 0 AND skus = '{1005}'")],
    ),
    wrong(
        "a sku has no beginning",
        "stock-seed-recorded",
        &[8],
        &[(STOCK, "INSERT INTO stock VALUES (8, 1, 0)")],
    ),
    wrong(
        "the total is off by one",
        "stock-total-is-unpaid",
        &[1005],
        &[(STOCK, "UPDATE stock SET total_count = total_count + 1 WHERE sku = 1005")],
    ),
    wrong(
        "a restock was written into the history and never done",
        "stock-total-is-unpaid",
        &[1004],
        &[(
            STOCK,
            "INSERT INTO stock_history (sku, count, total_count, reserved_count, idempotency_key)
             VALUES (1004, 5, 305, 40, 'k')",
        )],
    ),
    wrong(
        "the effect of order 1001 was applied twice",
        "stock-total-is-unpaid",
        &[1002, 1003],
        &[
            (STOCK, "UPDATE stock SET total_count = total_count - 2 WHERE sku = 1002"),
            (STOCK, "UPDATE stock SET total_count = total_count - 3 WHERE sku = 1003"),
        ],
    ),
    wrong(
        "a reservation has no order, and nobody gives it back",
        "reservation-has-order",
        &[900_001],
        &[
            (
                STOCK,
                "INSERT INTO reservations VALUES (900001, 1, NULL, '{1002}', '{1}', now() - interval '2 minutes')",
            ),
            RECOUNT,
        ],
    ),
    wrong(
        "two reservations have each other's lines",
        "reservation-fits-order",
        &[3001, 4001],
        &[(
            STOCK,
            "UPDATE reservations SET skus = other.skus, counts = other.counts FROM reservations AS other
             WHERE (reservations.order_id, other.order_id) IN ((3001, 4001), (4001, 3001))",
        )],
    ),
    wrong(
        "a reservation is another user's",
        "reservation-fits-order",
        &[3001],
        &[(STOCK, "UPDATE reservations SET user_id = 99 WHERE order_id = 3001")],
    ),
    wrong(
        "the reservation of an order is lost",
        "awaiting-order-holds-stock",
        &[3001],
        &[(STOCK, "DELETE FROM reservations WHERE order_id = 3001"), RECOUNT],
    ),
    wrong(
        "the effect of a payment is lost, the reservation left",
        "settled-order-holds-nothing",
        &[1001],
        &[
            (STOCK, "UPDATE stock SET total_count = total_count + 2 WHERE sku = 1002"),
            (STOCK, "UPDATE stock SET total_count = total_count + 3 WHERE sku = 1003"),
            (
                STOCK,
                "INSERT INTO reservations (order_id, user_id, skus, counts) VALUES (1001, 1, '{1002,1003}', '{2,3}')",
            ),
            RECOUNT,
        ],
    ),
    wrong(
        "the effect of a cancellation is lost, the reservation left",
        "settled-order-holds-nothing",
        &[2001],
        &[
            (
                STOCK,
                "INSERT INTO reservations (order_id, user_id, skus, counts) VALUES (2001, 1, '{1002,1003}', '{2,3}')",
            ),
            RECOUNT,
        ],
    ),
    wrong(
        "a payment's effect is never applied",
        "settled-order-holds-nothing",
        &[3001],
        &[
            (
                1,
                "UPDATE orders SET state = 'PAYED', sequence = 3, updated_at = now() - interval '2 minutes' WHERE id = 3001",
            ),
            (1, "INSERT INTO order_history (order_id, sequence, state) VALUES (3001, 3, 'PAYED')"),
            (1, "INSERT INTO stock_effects VALUES (3001, 'TAKE', now() - interval '2 minutes')"),
        ],
    ),
    wrong(
        "an order that failed long ago holds stock",
        "settled-order-holds-nothing",
        &[5001],
        &[
            (1, "UPDATE orders SET updated_at = now() - interval '2 minutes' WHERE id = 5001"),
            (
                STOCK,
                "INSERT INTO reservations (order_id, user_id, skus, counts) VALUES (5001, 1, '{1002}', '{100000}')",
            ),
            (STOCK, "UPDATE stock SET total_count = total_count + 100000 WHERE sku = 1002"),
            (STOCK, "UPDATE stock_seed SET total_count = total_count + 100000 WHERE sku = 1002"),
            RECOUNT,
        ],
    ),
];
