//! The sweeper repairs what crashes leave.

use std::time::Duration;

use dev::testing::eventually;
use loms::domain::{Failure, OrderError, OrderStatus};
use shared_actors::deadline;
use tokio::time::Instant;

use crate::invariants;
use crate::shop::{Backend, id, keyed, order};

const SOON: Duration = Duration::from_secs(15);

#[actix::test]
async fn a_reservation_whose_order_was_never_written_is_given_back() {
    let backend = Backend::new().await;
    let shop = backend
        .open(&[("RESERVATION_GRACE", "3s"), ("REQUEST_TIMEOUT", "2s"), ("SWEEP_INTERVAL", "50ms")])
        .await;
    let kept = shop.orders.create(order(1, &[(1002, 10)])).await.unwrap();
    backend.leave_reservation(700_001, 1, Some("k"), 1002, 30).await;
    backend.leave_reservation(700_000, 5, None, 1002, 40).await;
    assert_eq!(shop.left(1002).await, 100);
    eventually(SOON, "the items are free", async || shop.left(1002).await == 170).await;
    for orphan in [700_001, 700_000] {
        assert_eq!(shop.orders.info(id(orphan)).await.unwrap().status, OrderStatus::Failed);
    }
    assert_eq!(shop.orders.info(kept).await.unwrap().status, OrderStatus::AwaitingPayment);
    let retry = shop.orders.create(keyed("k", 1, &[(1002, 30)])).await.unwrap();
    assert_ne!(retry, id(700_001));
    assert_eq!(shop.orders.create(keyed("k", 1, &[(1002, 30)])).await, Ok(retry));
    assert_eq!(shop.left(1002).await, 140);
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn a_second_reservation_under_the_key_of_an_order_is_given_back() {
    let backend = Backend::new().await;
    let shop = backend
        .open(&[
            ("RESERVATION_GRACE", "300ms"),
            ("REQUEST_TIMEOUT", "200ms"),
            ("SWEEP_INTERVAL", "50ms"),
        ])
        .await;
    let first = shop.orders.create(keyed("k", 1, &[(1002, 10)])).await.unwrap();
    shop.orders.pay(first).await.unwrap();
    backend.leave_reservation(700_001, 1, Some("k"), 1002, 10).await;
    eventually(SOON, "the items are free", async || shop.left(1002).await == 170).await;
    assert_eq!(backend.state(700_001).await.as_deref(), Some("FAILED"));
    assert_eq!(shop.orders.create(keyed("k", 1, &[(1002, 10)])).await, Ok(first));
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn a_payment_is_answered_while_the_stock_is_stuck_and_settled_afterwards() {
    let backend = Backend::new().await;
    let shop = backend.open(&[("SWEEP_INTERVAL", "50ms")]).await;
    let order = shop.orders.create(order(1, &[(1002, 10)])).await.unwrap();
    let mut stuck = backend.pools[0].begin().await.unwrap();
    sqlx::query("SELECT sku FROM stock WHERE sku = 1002 FOR UPDATE")
        .execute(&mut *stuck)
        .await
        .unwrap();

    // Shorter than a cancellation waits for the stock.
    let deadline = Instant::now() + Duration::from_secs(1);
    deadline::scope(deadline, shop.orders.pay(order)).await.unwrap();
    assert_eq!(shop.orders.info(order).await.unwrap().status, OrderStatus::Payed);
    assert_eq!(effects(&backend).await, 1);

    stuck.rollback().await.unwrap();
    eventually(SOON, "the effect is applied", async || effects(&backend).await == 0).await;
    invariants::hold(&backend).await;
    assert_eq!(shop.left(1002).await, 170);
    shop.close().await;
}

#[actix::test]
async fn a_cancellation_is_not_confirmed_while_the_stock_is_stuck() {
    let backend = Backend::new().await;
    let shop = backend.open(&[("SWEEP_INTERVAL", "50ms")]).await;
    let order = shop.orders.create(order(1, &[(1002, 10)])).await.unwrap();
    let mut stuck = backend.pools[0].begin().await.unwrap();
    sqlx::query("SELECT sku FROM stock WHERE sku = 1002 FOR UPDATE")
        .execute(&mut *stuck)
        .await
        .unwrap();

    for _ in 0..2 {
        let refused = shop.orders.cancel(order).await;
        assert!(
            matches!(refused, Err(OrderError::Failed(Failure::Unavailable { .. }))),
            "{refused:?}"
        );
        assert_eq!(shop.orders.info(order).await.unwrap().status, OrderStatus::Cancelled);
    }
    assert_eq!(shop.left(1002).await, 170);

    stuck.rollback().await.unwrap();
    // After a wait for the stock has timed out, loms does not wait for it again for a while.
    eventually(SOON, "the cancellation is confirmed", async || shop.orders.cancel(order).await)
        .await;
    assert_eq!(shop.left(1002).await, 180);
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn an_effect_is_applied_once_however_often_it_is_found() {
    let backend = Backend::new().await;
    let shop = backend.open(&[("SWEEP_INTERVAL", "50ms")]).await;
    let order = shop.orders.create(order(1, &[(1002, 10)])).await.unwrap();
    shop.orders.pay(order).await.unwrap();
    sqlx::query("INSERT INTO stock_effects VALUES ($1, 'TAKE', now() - interval '1 minute')")
        .bind(order.get())
        .execute(&backend.pools[1])
        .await
        .unwrap();
    eventually(SOON, "the effect is gone", async || effects(&backend).await == 0).await;
    assert_eq!(shop.left(1002).await, 170);
    invariants::hold(&backend).await;
    shop.close().await;
}

async fn effects(backend: &Backend) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM stock_effects")
        .fetch_one(&backend.pools[1])
        .await
        .unwrap()
}
