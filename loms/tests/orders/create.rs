//! Creating orders.

use std::time::Duration;

use dev::testing::eventually;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use loms::domain::{Failure, OrderError, OrderStatus, Sku, StockError};

use crate::invariants;
use crate::shop::{Backend, order};

#[actix::test]
async fn an_order_reserves_its_items_and_awaits_its_payment() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let id = shop.orders.create(order(1, &[(1003, 2), (1002, 1), (1003, 3)])).await.unwrap();
    let created = shop.orders.info(id).await.unwrap();
    assert_eq!(created.status, OrderStatus::AwaitingPayment);
    assert_eq!(created.lines, order(1, &[(1002, 1), (1003, 5)]).lines);
    assert_eq!((shop.left(1002).await, shop.left(1003).await), (179, 215));
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn an_order_that_cannot_be_served_reserves_nothing_and_is_kept_as_failed() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    for items in [&[(1002, 1), (1003, 221)][..], &[(1002, 1), (9, 1)], &[(1002, u32::MAX)]] {
        let refused = shop.orders.create(order(1, items)).await;
        let Err(OrderError::OutOfStock { order, shortages }) = refused else {
            panic!("{refused:?}")
        };
        let short = items.last().unwrap();
        assert_eq!(shortages.len(), 1);
        assert_eq!((shortages[0].sku.get(), shortages[0].wanted.get()), *short);
        assert_eq!(
            shortages[0].left,
            [(1003, 220), (1002, 180)]
                .iter()
                .find(|(sku, _)| *sku == short.0)
                .map(|(_, left)| *left)
        );
        assert_eq!(shop.orders.info(order).await.unwrap().status, OrderStatus::Failed);
    }
    assert_eq!((shop.left(1002).await, shop.left(1003).await), (180, 220));
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn ids_start_at_the_shard_and_go_by_thousands() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let mut ids = Vec::new();
    for user in [5, 5, 1, 1] {
        ids.push(shop.orders.create(order(user, &[(1002, 1)])).await.unwrap().get());
    }
    assert_eq!(ids, [1000, 2000, 1001, 2001]);
    shop.close().await;
}

#[actix::test]
async fn a_hundred_units_go_to_a_hundred_of_four_hundred_buyers_at_two_instances() {
    let backend = Backend::new().await;
    let shops = [backend.open(&[]).await, backend.open(&[]).await];
    backend.add_stock(1, 100).await;
    let buyers = (1..=400)
        .map(|user| shops[usize::from(user % 2 == 0)].orders.create(order(user, &[(1, 1)])));
    let answers = join_all(buyers).await;
    let served = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers
        .iter()
        .filter(|answer| matches!(answer, Err(OrderError::OutOfStock { .. })))
        .count();
    assert_eq!((served, refused), (100, 300));
    assert_eq!(shops[0].left(1).await, 0);
    invariants::hold(&backend).await;
    for shop in shops {
        shop.close().await;
    }
}

#[actix::test]
async fn orders_of_several_items_in_any_order_never_block_each_other_nor_oversell() {
    let backend = Backend::new().await;
    let shops = [backend.open(&[]).await, backend.open(&[]).await];
    for sku in 1..=5 {
        backend.add_stock(sku, 300).await;
    }
    let buyers = (1..=600_u32).map(|user| {
        let items = [(user % 5 + 1, 1), (user * 7 % 5 + 1, 2), (user * 3 % 4 + 1, 1)];
        shops[(user % 2) as usize].orders.create(order(i64::from(user), &items))
    });
    for answer in join_all(buyers).await {
        assert!(matches!(answer, Ok(_) | Err(OrderError::OutOfStock { .. })), "{answer:?}");
    }
    invariants::hold(&backend).await;
    for shop in shops {
        shop.close().await;
    }
}

#[actix::test]
async fn reads_of_the_stock_take_no_room_from_orders() {
    let backend = Backend::new().await;
    let shop = backend.open(&[("ACTOR_CAPACITY", "4")]).await;
    let mut stuck = backend.pools[0].begin().await.unwrap();
    sqlx::query("LOCK TABLE stock IN ACCESS EXCLUSIVE MODE").execute(&mut *stuck).await.unwrap();

    let sku = Sku::try_from(1002).unwrap();
    let mut reads: FuturesUnordered<_> = (0..10).map(|_| shop.stocks.available(sku)).collect();
    for _ in 4..10 {
        let refused = reads.next().await.unwrap();
        assert!(
            matches!(refused, Err(StockError::Failed(Failure::Overloaded { .. }))),
            "{refused:?}"
        );
    }
    let orders = shop.orders.clone();
    let created = actix::spawn(async move { orders.create(order(1, &[(1002, 1)])).await });
    let reserves = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FOR UPDATE%'";
    let asked = async || {
        let reserving: i64 =
            sqlx::query_scalar(reserves).fetch_one(&backend.pools[0]).await.unwrap();
        created.is_finished() || reserving == 1
    };
    eventually(Duration::from_secs(10), "the stock is asked to reserve", asked).await;
    stuck.rollback().await.unwrap();
    created.await.unwrap().unwrap();
    while let Some(served) = reads.next().await {
        assert!(served.is_ok(), "{served:?}");
    }
    drop(reads);
    shop.close().await;
}

#[actix::test]
async fn a_small_order_does_not_wait_for_the_large_ones_before_it() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let items: Vec<(u32, u32)> = (1..=1_000).map(|sku| (1_000_000 + sku, 1)).collect();
    let large = order(1, &items);
    let orders = shop.orders.clone();
    let crowd =
        actix::spawn(async move { join_all((0..128).map(|_| orders.create(large.clone()))).await });
    let begun = async || {
        let large = "SELECT count(*) FROM orders WHERE cardinality(skus) = 1000";
        sqlx::query_scalar::<_, i64>(large).fetch_one(&backend.pools[1]).await.unwrap() > 0
    };
    eventually(Duration::from_secs(20), "some large orders are done", begun).await;
    shop.orders.create(order(1, &[(1002, 1)])).await.unwrap();
    assert!(!crowd.is_finished(), "the small order came last");
    for refused in crowd.await.unwrap() {
        assert!(matches!(refused, Err(OrderError::OutOfStock { .. })), "{refused:?}");
    }
    shop.close().await;
}
