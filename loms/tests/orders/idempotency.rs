//! One key, one order.

use std::time::Duration;

use dev::testing::eventually;
use futures::future::join_all;
use loms::domain::{OrderError, OrderStatus};

use crate::invariants;
use crate::shop::{Backend, id, keyed, order};

#[actix::test]
async fn concurrent_retries_at_two_instances_make_one_order() {
    let backend = Backend::new().await;
    let shops = [backend.open(&[]).await, backend.open(&[]).await];
    backend.add_stock(1, 3).await;
    let tries = (0..60).map(|n| shops[n % 2].orders.create(keyed("k", 1, &[(1, 3)])));
    let answers = join_all(tries).await;
    let first = answers[0].clone().unwrap();
    assert!(answers.iter().all(|answer| *answer == Ok(first)), "{answers:?}");
    let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM orders")
        .fetch_one(&backend.pools[1])
        .await
        .unwrap();
    assert_eq!(orders, 1);
    assert_eq!(shops[0].left(1).await, 0);
    invariants::hold(&backend).await;
    for shop in shops {
        shop.close().await;
    }
}

#[actix::test]
async fn a_key_stands_for_its_items_and_its_user() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let first = shop.orders.create(keyed("k", 1, &[(1002, 1), (1003, 2)])).await.unwrap();
    assert_eq!(shop.orders.create(keyed("k", 1, &[(1003, 2), (1002, 1)])).await, Ok(first));
    let other_items = shop.orders.create(keyed("k", 1, &[(1002, 1)])).await;
    assert_eq!(other_items, Err(OrderError::KeyReused { order: first }));
    assert_ne!(shop.orders.create(keyed("k", 2, &[(1002, 1), (1003, 2)])).await.unwrap(), first);
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn a_key_with_two_bodies_at_once_makes_one_order() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let tries = (0..40).map(|n| shop.orders.create(keyed("k", 1, &[(1002, 1 + n % 2)])));
    let answers = join_all(tries).await;
    let won: Vec<_> = answers.iter().flatten().collect();
    assert_eq!(won.len(), 20);
    assert!(won.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(
        answers.iter().all(|answer| matches!(answer, Ok(_) | Err(OrderError::KeyReused { .. }))),
        "{answers:?}"
    );
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn a_failed_order_stays_failed_under_its_key() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let refused = shop.orders.create(keyed("k", 1, &[(7, 1)])).await;
    let Err(OrderError::OutOfStock { order: failed, .. }) = refused else { panic!("{refused:?}") };
    backend.add_stock(7, 10).await;
    // The shortages of the first attempt are not stored.
    let again = OrderError::OutOfStock { order: failed, shortages: Vec::new() };
    assert_eq!(shop.orders.create(keyed("k", 1, &[(7, 1)])).await, Err(again));
    assert!(shop.orders.create(order(1, &[(7, 1)])).await.is_ok());
    shop.close().await;
}

#[actix::test]
async fn a_retry_gets_the_stock_that_its_first_attempt_holds() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    backend.add_stock(1, 5).await;
    backend.leave_reservation(5_001, 1, Some("k"), 1, 5).await;
    assert_eq!(shop.left(1).await, 0);
    let refused = shop.orders.create(keyed("k", 1, &[(1, 4)])).await;
    assert_eq!(refused, Err(OrderError::KeyReused { order: id(5_001) }));
    assert_eq!(shop.orders.create(keyed("k", 1, &[(1, 5)])).await, Ok(id(5_001)));
    assert_eq!(shop.orders.info(id(5_001)).await.unwrap().status, OrderStatus::AwaitingPayment);
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn a_wrong_body_does_not_spoil_the_right_retry_beside_it() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let first = shop.orders.create(keyed("k", 1, &[(1002, 1)])).await.unwrap();
    backend.leave_reservation(5_001, 1, Some("held"), 1002, 1).await;
    for (key, order) in [("k", first), ("held", id(5_001))] {
        let tries =
            [2, 3, 1, 2, 1].map(|count| shop.orders.create(keyed(key, 1, &[(1002, count)])));
        let refused = Err(OrderError::KeyReused { order });
        let expected = [refused.clone(), refused.clone(), Ok(order), refused, Ok(order)];
        assert_eq!(join_all(tries).await, expected, "{key}");
    }
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn a_key_is_forgotten_when_it_is_old_and_its_order_is_done() {
    let backend = Backend::new().await;
    let keep = backend.open(&[]).await;
    let awaiting = keep.orders.create(keyed("awaiting", 1, &[(1002, 1)])).await.unwrap();
    let paid = keep.orders.create(keyed("paid", 1, &[(1002, 1)])).await.unwrap();
    keep.orders.pay(paid).await.unwrap();
    let young = keep.orders.create(keyed("young", 5, &[(1002, 1)])).await.unwrap();
    keep.orders.pay(young).await.unwrap();
    for (id, pool) in [(awaiting, 1), (paid, 1)] {
        sqlx::query("UPDATE orders SET created_at = now() - interval '2 hours' WHERE id = $1")
            .bind(id.get())
            .execute(&backend.pools[pool])
            .await
            .unwrap();
    }
    let shop = backend.open(&[("IDEMPOTENCY_TTL", "1h"), ("SWEEP_INTERVAL", "50ms")]).await;
    let keys = async |shard: usize| -> Vec<String> {
        let keys = "SELECT idempotency_key FROM orders WHERE idempotency_key IS NOT NULL";
        sqlx::query_scalar(keys).fetch_all(&backend.pools[shard]).await.unwrap()
    };
    eventually(Duration::from_secs(20), "the key of the paid order is forgotten", async || {
        let known = keys(1).await;
        if known == ["awaiting"] { Ok(()) } else { Err(known) }
    })
    .await;
    assert_eq!(keys(0).await, ["young"]);
    assert_eq!(shop.orders.create(keyed("awaiting", 1, &[(1002, 1)])).await, Ok(awaiting));
    assert_eq!(shop.orders.create(keyed("young", 5, &[(1002, 1)])).await, Ok(young));
    assert_ne!(shop.orders.create(keyed("paid", 1, &[(1002, 1)])).await, Ok(paid));
    invariants::hold(&backend).await;
    keep.close().await;
    shop.close().await;
}

#[actix::test]
async fn many_bodies_under_one_key_cost_as_much_as_one() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    backend.leave_reservation(5_001, 1, Some("held"), 1002, 1).await;
    let before = shop.orders.create(order(1, &[(1003, 1)])).await.unwrap();
    let tries = (1..=60).map(|count| shop.orders.create(keyed("held", 1, &[(1002, count)])));
    let mut answers = join_all(tries).await;
    assert_eq!(answers.remove(0), Ok(id(5_001)));
    let reused = Err(OrderError::KeyReused { order: id(5_001) });
    assert!(answers.iter().all(|answer| *answer == reused), "{answers:?}");
    // Each attempt uses up one order number.
    let after = shop.orders.create(order(1, &[(1003, 1)])).await.unwrap();
    let attempts = (after.get() - before.get()) / 1_000 - 1;
    assert!(attempts <= 10, "{attempts} attempts");
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn a_retry_that_meets_the_reservation_of_an_attempt_that_was_given_up_makes_a_new_order() {
    let backend = Backend::new().await;
    let shop = backend.open(&[("SWEEP_INTERVAL", "1h")]).await;
    backend.leave_reservation(5_001, 1, Some("k"), 1002, 30).await;
    // The sweeper died before it returned the order's pieces.
    let tombstone = "INSERT INTO orders (id, state, user_id, skus, counts, sequence)
        VALUES (5001, 'FAILED', 1, '{1002}', '{30}', 2)";
    sqlx::query(tombstone).execute(&backend.pools[1]).await.unwrap();
    let history = "INSERT INTO order_history (order_id, sequence, state) VALUES (5001, 1, 'NEW'), (5001, 2, 'FAILED')";
    sqlx::query(history).execute(&backend.pools[1]).await.unwrap();
    sqlx::query("SELECT setval('order_id_seq', 6001)").execute(&backend.pools[1]).await.unwrap();

    let retry = shop.orders.create(keyed("k", 1, &[(1002, 30)])).await.unwrap();
    assert_ne!(retry, id(5_001));
    assert_eq!(shop.orders.create(keyed("k", 1, &[(1002, 30)])).await, Ok(retry));
    assert_eq!(shop.left(1002).await, 150);
    invariants::hold(&backend).await;
    shop.close().await;
}
