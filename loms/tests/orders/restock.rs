//! Adding pieces to the stock by hand, and removing them.

use futures::future::join_all;
use loms::domain::{IdempotencyKey, OrderError, Restock, Sku, StockChange, StockError, StockLevel};

use crate::invariants;
use crate::shop::{Backend, order};

fn restock(key: &str, sku: u32, count: i64) -> Restock {
    Restock {
        sku: sku.try_into().unwrap(),
        change: StockChange::try_from(count).unwrap(),
        key: IdempotencyKey::try_from(key).unwrap(),
        traceparent: None,
    }
}

fn level(total: i64, reserved: i64) -> StockLevel {
    StockLevel { total, reserved }
}

fn sku(number: u32) -> Sku {
    Sku::try_from(number).unwrap()
}

#[actix::test]
async fn a_new_sku_can_be_sold_once_it_is_restocked() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    assert_eq!(shop.stocks.available(sku(7)).await, Err(StockError::NotFound(sku(7))));
    assert_eq!(shop.stocks.restock(restock("first", 7, 10)).await, Ok(level(10, 0)));
    assert_eq!(shop.stocks.restock(restock("second", 7, 5)).await, Ok(level(15, 0)));
    let sold = shop.orders.create(order(1, &[(7, 15)])).await.unwrap();
    shop.orders.pay(sold).await.unwrap();
    assert_eq!(shop.stocks.restock(restock("third", 7, 1)).await, Ok(level(1, 0)));
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn retries_at_two_instances_restock_once_and_all_get_its_answer() {
    let backend = Backend::new().await;
    let shops = [backend.open(&[]).await, backend.open(&[]).await];
    let tries = (0..60).map(|n| shops[n % 2].stocks.restock(restock("k", 1002, 50)));
    for answer in join_all(tries).await {
        assert_eq!(answer, Ok(level(250, 20)));
    }
    shops[0].orders.create(order(1, &[(1002, 30)])).await.unwrap();
    assert_eq!(shops[1].stocks.restock(restock("k", 1002, 50)).await, Ok(level(250, 20)));
    for other in [restock("k", 1002, 51), restock("k", 1003, 50)] {
        let reused = StockError::KeyReused { sku: sku(1002) };
        assert_eq!(shops[0].stocks.restock(other).await, Err(reused));
    }
    assert_eq!((shops[0].left(1002).await, shops[0].left(1003).await), (200, 220));
    invariants::hold(&backend).await;
    for shop in shops {
        shop.close().await;
    }
}

#[actix::test]
async fn retries_at_two_instances_take_away_once_though_it_could_not_be_done_twice() {
    let backend = Backend::new().await;
    let shops = [backend.open(&[]).await, backend.open(&[]).await];
    for round in 0..10 {
        let (fill, clear) = (format!("fill {round}"), format!("clear {round}"));
        shops[0].stocks.restock(restock(&fill, 7, 10)).await.unwrap();
        let tries = (0..8).map(|n| shops[n % 2].stocks.restock(restock(&clear, 7, -10)));
        for answer in join_all(tries).await {
            assert_eq!(answer, Ok(level(0, 0)));
        }
    }
    invariants::hold(&backend).await;
    for shop in shops {
        shop.close().await;
    }
}

#[actix::test]
async fn what_is_reserved_cannot_be_taken_away() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    shop.orders.create(order(1, &[(1002, 30)])).await.unwrap();
    let refused = StockError::Reserved { sku: sku(1002), level: level(200, 50) };
    assert_eq!(shop.stocks.restock(restock("all", 1002, -151)).await, Err(refused));
    assert_eq!(
        shop.stocks.restock(restock("all", 1002, -150)).await,
        Ok(level(50, 50)),
        "a refusal leaves the key free"
    );
    assert_eq!(
        shop.stocks.restock(restock("none", 9, -1)).await,
        Err(StockError::NotFound(sku(9)))
    );
    assert_eq!(shop.left(1002).await, 0);
    let short = shop.orders.create(order(1, &[(1002, 1)])).await;
    assert!(matches!(short, Err(OrderError::OutOfStock { .. })), "{short:?}");
    invariants::hold(&backend).await;
    shop.close().await;
}

#[actix::test]
async fn restocks_beside_orders_keep_every_piece_accounted_for() {
    let backend = Backend::new().await;
    let shops = [backend.open(&[]).await, backend.open(&[]).await];
    shops[0].stocks.restock(restock("first", 7, 20)).await.unwrap();
    let keys: Vec<String> = (0..40).map(|n| format!("delivery {n}")).collect();
    let restocks = keys.iter().enumerate().map(|(n, key)| {
        let count = if n % 4 == 0 { -3 } else { 5 };
        shops[n % 2].stocks.restock(restock(key, 7, count))
    });
    let buyers = (1..=200)
        .map(|user| shops[usize::from(user % 2 == 0)].orders.create(order(user, &[(7, 1)])));
    let (restocked, sold) = futures::join!(join_all(restocks), join_all(buyers));
    for refused in restocked.iter().filter_map(|answer| answer.as_ref().err()) {
        assert!(matches!(refused, StockError::Reserved { .. }), "{refused}");
    }
    let sold = sold.iter().filter(|answer| answer.is_ok()).count();
    let told: i64 =
        sqlx::query_scalar("SELECT sum(count)::bigint FROM stock_history WHERE sku = 7")
            .fetch_one(&backend.pools[0])
            .await
            .unwrap();
    assert_eq!(shops[0].left(7).await, u64::try_from(told).unwrap() - sold as u64);
    invariants::hold(&backend).await;
    for shop in shops {
        shop.close().await;
    }
}
