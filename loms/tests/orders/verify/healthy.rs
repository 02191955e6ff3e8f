//! A working shop violates nothing, whether idle or busy. Unfinished work is reported as open.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use loms::orders::Orders;
use loms::verify::verify;
use sqlx::{Connection, Executor};

use super::{open, quiet_shop, settings, verified};
use crate::shop::{Backend, keyed, order};

#[actix::test]
async fn a_quiet_shop_holds_all_invariants_with_nothing_open() {
    let backend = quiet_shop().await;
    let report = verified(&backend.databases).await;
    assert!(report.holds() && open(&report).is_empty(), "{report}");
    let checked = |name| {
        report.findings.iter().find(|finding| finding.invariant.name == name).unwrap().checked
    };
    assert_eq!(checked("stock-total-is-unpaid"), 5);
    assert_eq!(checked("order-state-is-last"), 10);
    assert_eq!(checked("awaiting-order-holds-stock"), 4);
    assert_eq!(checked("reservation-fits-order"), 4);
    assert_eq!(checked("history-gapless"), 24);
}

#[actix::test]
async fn what_crashes_leave_behind_is_open_and_no_violation() {
    let backend = quiet_shop().await;
    let half_way: [(usize, &str); 5] = [
        // A reservation whose order is about to be written.
        (
            0,
            "INSERT INTO reservations (order_id, user_id, skus, counts) VALUES (900001, 1, '{1002}', '{1}')",
        ),
        (0, "UPDATE stock SET reserved_count = reserved_count + 1 WHERE sku = 1002"),
        // A payment whose effect on the stock is not applied yet, and one whose effect is.
        (1, "UPDATE orders SET state = 'PAYED', sequence = 3 WHERE id = 3001"),
        (1, "INSERT INTO order_history VALUES (3001, 3, 'PAYED')"),
        (1, "INSERT INTO stock_effects VALUES (3001, 'TAKE'), (1001, 'TAKE')"),
    ];
    for (database, statement) in half_way {
        let mut connection = backend.databases[database].connect().await;
        connection.execute(statement).await.unwrap();
        connection.close().await.unwrap();
    }
    let report = verified(&backend.databases).await;
    assert!(report.holds(), "{report}");
    let expected = [
        ("effect-fits-order", 2),
        ("reservation-has-order", 1),
        ("settled-order-holds-nothing", 1),
    ];
    assert_eq!(open(&report), expected.into());
}

#[actix::test]
async fn a_shop_at_work_holds_all_invariants() {
    let backend = Backend::new().await;
    let extra = [("SWEEP_INTERVAL", "50ms"), ("ORDER_PAYMENT_TTL", "700ms")];
    let shop = backend.open(&extra).await;
    backend.add_stock(1, 1_000_000).await;
    backend.add_stock(2, 200).await;
    let stopping = Arc::new(AtomicBool::new(false));
    let next_user = Arc::new(AtomicI64::new(1));
    let customers: Vec<_> = (0..16)
        .map(|_| {
            actix::spawn(buy(shop.orders.clone(), Arc::clone(&next_user), Arc::clone(&stopping)))
        })
        .collect();
    let settings = settings(&backend.databases, &extra);
    for _ in 0..15 {
        let report = verify(&settings).await.unwrap();
        assert!(report.holds(), "{report}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stopping.store(true, Ordering::Relaxed);
    for customer in join_all(customers).await {
        customer.unwrap();
    }
    backend.at_rest().await;
    let report = verify(&settings).await.unwrap();
    assert!(report.holds(), "{report}");
    assert!(next_user.load(Ordering::Relaxed) > 100, "there was something to verify");
    shop.close().await;
}

/// Creates orders and pays, cancels or abandons them, as fast as the shop answers.
async fn buy(orders: Orders, next_user: Arc<AtomicI64>, stopping: Arc<AtomicBool>) {
    while !stopping.load(Ordering::Relaxed) {
        let user = next_user.fetch_add(1, Ordering::Relaxed);
        // The second SKU soon sells out, so some orders fail.
        let Ok(order) =
            orders.create(keyed("k", user, &[(1, 1), (1 + u32::from(user % 4 == 0), 2)])).await
        else {
            continue;
        };
        match user % 3 {
            // Either may fail: the payment deadline may have passed, or the stock may be slow to
            // take the pieces back.
            0 => drop(orders.pay(order).await),
            1 => drop(orders.cancel(order).await),
            _ => {}
        }
    }
}

#[actix::test]
async fn a_reservation_that_a_sweeper_is_about_to_give_back_is_no_violation() {
    let backend = Backend::new().await;
    let shop = backend
        .open(&[
            ("SWEEP_INTERVAL", "200ms"),
            ("RESERVATION_GRACE", "1s"),
            ("REQUEST_TIMEOUT", "500ms"),
        ])
        .await;
    shop.orders.create(order(1, &[(1002, 1)])).await.unwrap();
    // The verification allows reservations less time than the sweeper does, and finds this one
    // overdue.
    backend.leave_reservation(2001, 1, None, 1002, 3).await;
    let extra =
        [("SWEEP_INTERVAL", "2s"), ("RESERVATION_GRACE", "2ms"), ("REQUEST_TIMEOUT", "1ms")];
    tokio::time::sleep(Duration::from_millis(5)).await;
    let report = verify(&settings(&backend.databases, &extra)).await.unwrap();
    assert!(report.holds(), "{report}");
    assert_eq!(backend.state(2001).await.as_deref(), Some("FAILED"));
    shop.close().await;
}
