//! Paying, cancelling, and the payment deadline.

use std::time::Duration;

use dev::testing::eventually;
use futures::FutureExt;
use futures::future::join_all;
use loms::domain::{OrderError, OrderStatus};

use crate::invariants;
use crate::shop::{Backend, id, order};

#[actix::test]
async fn a_paid_order_takes_its_items_out_of_the_stock_and_cannot_be_cancelled() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let order = shop.orders.create(order(1, &[(1002, 5)])).await.unwrap();
    for _ in 0..2 {
        shop.orders.pay(order).await.unwrap();
    }
    let (from, to) = (OrderStatus::Payed, OrderStatus::Cancelled);
    assert_eq!(shop.orders.cancel(order).await, Err(OrderError::Forbidden { order, from, to }));
    assert_eq!(shop.left(1002).await, 175);
    let stock: (i64, i64) =
        sqlx::query_as("SELECT total_count, reserved_count FROM stock WHERE sku = 1002")
            .fetch_one(&backend.pools[0])
            .await
            .unwrap();
    assert_eq!(stock, (195, 20));
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn a_cancelled_order_gives_its_items_back_and_cannot_be_paid() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let order = shop.orders.create(order(5, &[(1002, 5)])).await.unwrap();
    for _ in 0..2 {
        shop.orders.cancel(order).await.unwrap();
    }
    let (from, to) = (OrderStatus::Cancelled, OrderStatus::Payed);
    assert_eq!(shop.orders.pay(order).await, Err(OrderError::Forbidden { order, from, to }));
    assert_eq!(shop.left(1002).await, 180);
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn a_cancellation_that_another_instance_decided_is_confirmed_once_its_items_are_back() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let order = shop.orders.create(order(1, &[(1002, 5)])).await.unwrap();
    let mut decided = backend.pools[1].begin().await.unwrap();
    for statement in [
        "UPDATE orders SET state = 'CANCELLED', sequence = 3 WHERE id = $1",
        "INSERT INTO order_history (order_id, sequence, state) VALUES ($1, 3, 'CANCELLED')",
        "INSERT INTO stock_effects (order_id, kind) VALUES ($1, 'RETURN')",
    ] {
        sqlx::query(statement).bind(order.get()).execute(&mut *decided).await.unwrap();
    }
    decided.commit().await.unwrap();
    assert_eq!(shop.left(1002).await, 175);
    shop.orders.cancel(order).await.unwrap();
    assert_eq!(shop.left(1002).await, 180);
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn what_is_not_there_can_be_neither_read_nor_paid() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    for unknown in [1, 999, 1000, 1001, 1002, 1_000_000_000, i64::MAX].map(id) {
        assert_eq!(shop.orders.info(unknown).await, Err(OrderError::NotFound(unknown)));
        assert_eq!(shop.orders.pay(unknown).await, Err(OrderError::NotFound(unknown)));
        assert_eq!(shop.orders.cancel(unknown).await, Err(OrderError::NotFound(unknown)));
    }
    shop.close().await;
}

#[actix::test]
async fn of_payments_and_cancellations_at_two_instances_one_wins() {
    let backend = Backend::new().await;
    let shops = [backend.open(&[]).await, backend.open(&[]).await];
    for user in 1..=10 {
        let order = shops[0].orders.create(order(user, &[(1002, 1)])).await.unwrap();
        let tries = (0..16).map(|n| {
            let orders = &shops[n % 2].orders;
            if n % 3 == 0 {
                orders.cancel(order).boxed_local()
            } else {
                orders.pay(order).boxed_local()
            }
        });
        let answers = join_all(tries).await;
        let paid = shops[0].orders.info(order).await.unwrap().status == OrderStatus::Payed;
        for (n, answer) in answers.iter().enumerate() {
            let cancels = n % 3 == 0;
            assert_eq!(answer.is_ok(), cancels != paid, "try {n}: {answer:?}");
        }
    }
    invariants::hold(&backend).await;
    for shop in shops {
        shop.close().await;
    }
}

#[actix::test]
async fn an_order_that_nobody_pays_is_cancelled() {
    let backend = Backend::new().await;
    let brief = [("ORDER_PAYMENT_TTL", "2s"), ("SWEEP_INTERVAL", "50ms")];
    let shop = backend.open(&brief).await;
    let unpaid = [1, 5].map(|user| shop.orders.create(order(user, &[(1002, 5)])));
    let unpaid = join_all(unpaid).await;
    let paid = shop.orders.create(order(2, &[(1002, 5)])).await.unwrap();
    shop.orders.pay(paid).await.unwrap();
    for order in unpaid {
        let order = order.unwrap();
        let cancelled =
            async || shop.orders.info(order).await.unwrap().status == OrderStatus::Cancelled;
        eventually(Duration::from_secs(10), "the order is cancelled", cancelled).await;
    }
    assert_eq!(shop.orders.info(paid).await.unwrap().status, OrderStatus::Payed);
    eventually(Duration::from_secs(10), "its items are back", async || {
        shop.left(1002).await == 175
    })
    .await;
    invariants::hold(&backend).await;
    shop.close().await;
}
