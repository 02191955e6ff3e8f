//! A row that was changed by hand affects only the users who need it.

use std::time::Duration;

use dev::testing::eventually;
use futures::future::join_all;
use loms::domain::{Failure, OrderError, PageRequest};
use loms::verify::verify;

use crate::invariants;
use crate::shop::{Backend, Shop, id, order};

const SOON: Duration = Duration::from_secs(40);
const SWEEPING: [(&str, &str); 1] = [("SWEEP_INTERVAL", "50ms")];

/// The orders whose effects the stock rejects, according to `loms verify`.
async fn set_aside(backend: &Backend) -> Vec<i64> {
    let report = verify(&backend.settings(&SWEEPING)).await.unwrap();
    let told =
        report.findings.iter().find(|finding| finding.invariant.name == "effect-not-refused");
    told.unwrap().ids.clone()
}

/// The sum of a counter of this process, over all labels.
fn counted(family: &str) -> f64 {
    let families = prometheus::gather();
    let found = families.iter().find(|found| found.name() == family);
    found
        .unwrap_or_else(|| panic!("no {family}"))
        .get_metric()
        .iter()
        .map(|metric| metric.get_counter().get_value())
        .sum()
}

async fn reserve(backend: &Backend, sku: i64, reserved: i64) {
    let statement = "UPDATE stock SET reserved_count = $2 WHERE sku = $1";
    sqlx::query(statement).bind(sku).bind(reserved).execute(&backend.pools[0]).await.unwrap();
}

#[actix::test]
async fn an_effect_that_the_stock_does_not_admit_holds_up_no_other_one_until_the_stock_is_mended() {
    let backend = Backend::new().await;
    let shop = backend.open(&SWEEPING).await;
    let stuck = shop.orders.create(order(1, &[(1002, 25)])).await.unwrap();
    let mut others = Vec::new();
    for _ in 0..20 {
        others.push(shop.orders.create(order(1, &[(1003, 1)])).await.unwrap());
    }
    reserve(&backend, 1002, 0).await;

    let all = others[..10].iter().chain([&stuck]).chain(&others[10..]);
    let mut cancelled = join_all(all.map(|order| shop.orders.cancel(*order))).await;
    let refused = cancelled.remove(10);
    assert!(matches!(refused, Err(OrderError::Failed(Failure::Unavailable { .. }))), "{refused:?}");
    assert!(cancelled.iter().all(Result::is_ok), "{cancelled:?}");
    assert_eq!(shop.left(1003).await, 220);
    assert_eq!(set_aside(&backend).await, [stuck.get()]);
    assert!(counted("stock_effects_refused_total") > 0.5);

    // The sweeper gets past the rejected effect, too.
    let late = shop.orders.create(order(1, &[(1004, 1)])).await.unwrap();
    leave_effect(&backend, late.get()).await;
    eventually(SOON, "a later effect is settled", async || shop.left(1004).await == 260).await;
    assert_eq!(set_aside(&backend).await, [stuck.get()]);

    reserve(&backend, 1002, 45).await;
    eventually(SOON, "the effect is taken up again", async || shop.left(1002).await == 180).await;
    shop.orders.cancel(stuck).await.unwrap();
    assert_eq!(set_aside(&backend).await, Vec::<i64>::new());
    invariants::hold(&backend).await;
    shop.close().await;
}

/// Creates the state after an instance died between a cancellation and its effect on the stock.
async fn leave_effect(backend: &Backend, order: i64) {
    let statement = "WITH changed AS (
            UPDATE orders SET sequence = 3, state = 'CANCELLED' WHERE id = $1 RETURNING id
        ), history AS (
            INSERT INTO order_history (order_id, sequence, state) SELECT id, 3, 'CANCELLED' FROM changed
        ) INSERT INTO stock_effects (order_id, kind, created_at)
        SELECT id, 'RETURN', now() - interval '1 minute' FROM changed";
    sqlx::query(statement).bind(order).execute(&backend.pools[1]).await.unwrap();
}

#[actix::test]
async fn an_orphan_that_the_stock_does_not_admit_holds_up_no_other_one() {
    let backend = Backend::new().await;
    let settings = [SWEEPING[0], ("RESERVATION_GRACE", "300ms"), ("REQUEST_TIMEOUT", "200ms")];
    let shop = backend.open(&settings).await;
    backend.leave_reservation(700_001, 1, None, 1002, 25).await;
    reserve(&backend, 1002, 0).await;
    backend.leave_reservation(701_001, 1, None, 1003, 10).await;
    eventually(SOON, "the later one is given back", async || shop.left(1003).await == 220).await;
    eventually(SOON, "the other one is set aside", async || {
        let ids = set_aside(&backend).await;
        if ids == [700_001] { Ok(()) } else { Err(ids) }
    })
    .await;
    reserve(&backend, 1002, 45).await;
    eventually(SOON, "it is taken up again", async || shop.left(1002).await == 180).await;
    invariants::hold(&backend).await;
    shop.close().await;
}

/// Counts of one line that are not valid for an order.
const UNREADABLE: [&str; 3] = ["{0}", "{NULL}", "{{1}}"];

#[actix::test]
async fn reservations_that_cannot_be_read_keep_no_other_orphan_from_being_given_back() {
    let backend = Backend::new().await;
    // Opening a shop creates the tables.
    backend.open(&[]).await.close().await;
    for (order, counts) in [700_001, 701_001, 702_001].into_iter().zip(UNREADABLE) {
        backend.leave_reservation(order, 1, None, 1002, 1).await;
        let statement = "UPDATE reservations SET counts = $2::text::bigint[] WHERE order_id = $1";
        sqlx::query(statement).bind(order).bind(counts).execute(&backend.pools[0]).await.unwrap();
    }
    backend.leave_reservation(703_001, 1, None, 1003, 10).await;
    let settings = [SWEEPING[0], ("RESERVATION_GRACE", "300ms"), ("REQUEST_TIMEOUT", "200ms")];
    let shop = backend.open(&settings).await;
    eventually(SOON, "the readable one is given back", async || shop.left(1003).await == 220).await;
    shop.close().await;
}

async fn listed(shop: &Shop) -> Vec<i64> {
    let page = shop.orders.list(PageRequest { size: 100, before: None }).await.unwrap();
    page.orders.iter().map(|order| order.id.get()).collect()
}

#[actix::test]
async fn an_order_whose_row_cannot_be_read_fails_its_own_read_and_no_other_one() {
    let backend = Backend::new().await;
    let shop = backend.open(&[("DATABASE_REPLICA_HOST_PORT_0", "")]).await;
    let mut orders = Vec::new();
    for _ in 0..10 {
        orders.push(shop.orders.create(order(1, &[(1002, 1)])).await.unwrap());
    }
    let mut broken = Vec::new();
    for counts in UNREADABLE {
        let order = orders.remove(4);
        let statement = "UPDATE orders SET counts = $2::text::bigint[] WHERE id = $1";
        sqlx::query(statement)
            .bind(order.get())
            .bind(counts)
            .execute(&backend.pools[1])
            .await
            .unwrap();
        broken.push(order);
    }

    let read = join_all(orders.iter().chain(&broken).map(|order| shop.orders.info(*order))).await;
    let (readable, unreadable) = read.split_at(orders.len());
    assert!(readable.iter().all(Result::is_ok), "{readable:?}");
    assert!(
        unreadable
            .iter()
            .all(|read| matches!(read, Err(OrderError::Failed(Failure::Internal { .. })))),
        "{unreadable:?}"
    );
    assert!(counted("rows_unreadable_total") > 2.5);
    let mut expected: Vec<i64> = orders.iter().map(|order| order.get()).collect();
    expected.reverse();
    assert_eq!(listed(&shop).await, expected);
    shop.orders.pay(orders[0]).await.unwrap();
    shop.orders.cancel(broken[0]).await.unwrap();
    let report = verify(&backend.settings(&[])).await.unwrap();
    assert!(!report.findings.is_empty(), "they are reported");
    assert_eq!(shop.orders.info(id(999_001)).await, Err(OrderError::NotFound(id(999_001))));
    shop.close().await;
}
