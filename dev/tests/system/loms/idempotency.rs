//! Creates under an idempotency key.

use futures::future::join_all;
use tonic::Code;

use crate::support::{Env, Loms, Servers, Shop, new_user, new_user_on};

#[tokio::test]
async fn a_hundred_concurrent_retries_make_one_order() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    for shard in [0, 1] {
        let (user, sku) = (new_user_on(shard), shop.loms.stock(100).await);
        let lines = [(sku, 2)];
        let orders = join_all((0..100).map(|_| loms.create_keyed(user, &lines, "key"))).await;
        let first = *orders[0].as_ref().unwrap();
        for order in orders {
            assert_eq!(order.unwrap(), first);
        }
        assert_eq!(shop.loms.orders_of(user).await, [(first, "AWAITING_PAYMENT".to_owned())]);
        shop.loms.stock_becomes(sku, (100, 2)).await;
    }
}

#[tokio::test]
async fn a_retry_is_never_refused_for_want_of_what_its_first_attempt_holds() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let (user, sku) = (new_user_on(1), shop.loms.stock(2).await);
    let lines = [(sku, 2)];
    let orders = join_all((0..20).map(|_| loms.create_keyed(user, &lines, "key"))).await;
    let ids: Vec<i64> = orders.into_iter().map(Result::unwrap).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(shop.loms.orders_of(user).await.len(), 1);
}

#[tokio::test]
async fn a_retry_is_answered_alike_after_the_order_went_on() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let (user, sku) = (new_user(), shop.loms.stock(2).await);
    let order = loms.create_keyed(user, &[(sku, 2)], "key").await.unwrap();
    loms.pay(order).await.unwrap();
    assert_eq!(loms.create_keyed(user, &[(sku, 2)], "key").await.unwrap(), order);
    assert_eq!(
        loms.create_keyed(user, &[(sku, 1), (sku, 1)], "key").await.unwrap(),
        order,
        "the sums are equal"
    );
    shop.loms.stock_becomes(sku, (0, 0)).await;
}

#[tokio::test]
async fn another_body_under_the_same_key_is_refused() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let (user, sku, other) = (new_user(), shop.loms.stock(10).await, shop.loms.stock(10).await);
    loms.create_keyed(user, &[(sku, 1)], "key").await.unwrap();
    for lines in [vec![(sku, 2)], vec![(other, 1)], vec![(sku, 1), (other, 1)]] {
        let refusal = loms.create_keyed(user, &lines, "key").await.unwrap_err();
        assert_eq!(refusal.code(), Code::AlreadyExists, "{lines:?}: {refusal}");
    }
    assert_eq!(shop.loms.orders_of(user).await.len(), 1);
    shop.loms.stock_becomes(sku, (10, 1)).await;
    shop.loms.stock_becomes(other, (10, 0)).await;
}

#[tokio::test]
async fn a_key_belongs_to_its_user() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let sku = shop.loms.stock(10).await;
    let first = loms.create_keyed(new_user_on(0), &[(sku, 1)], "key").await.unwrap();
    let second = loms.create_keyed(new_user_on(0), &[(sku, 2)], "key").await.unwrap();
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_failed_order_is_answered_again_as_failed() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let (user, sku) = (new_user(), shop.loms.stock(1).await);
    for _ in 0..3 {
        let refusal = loms.create_keyed(user, &[(sku, 2)], "key").await.unwrap_err();
        assert_eq!(refusal.code(), Code::FailedPrecondition);
    }
    assert_eq!(shop.loms.orders_of(user).await.len(), 1);
}

#[tokio::test]
async fn the_key_may_come_as_metadata() {
    let shop = Shop::shared().await;
    let (user, sku) = (new_user(), shop.loms.stock(10).await);
    let loms = shop.loms.client().with("idempotency-key", "key");
    let order = loms.create(user, &[(sku, 1)]).await.unwrap();
    assert_eq!(loms.create(user, &[(sku, 1)]).await.unwrap(), order);
    assert_eq!(shop.loms.client().create_keyed(user, &[(sku, 1)], "key").await.unwrap(), order);
    let refusal = loms.create_keyed(user, &[(sku, 1)], "another").await.unwrap_err();
    assert_eq!(refusal.code(), Code::InvalidArgument, "{refusal}");
}

#[tokio::test]
async fn a_key_outlives_a_kill_and_a_restart() {
    let mut own = Loms::start(&Servers::from_env(), Env::new()).await;
    let (user, sku) = (new_user(), own.stock(3).await);
    let order = own.client().create_keyed(user, &[(sku, 2)], "key").await.unwrap();
    for _ in 0..2 {
        own.process.kill9();
        own.process.restart().await;
        assert_eq!(own.client().create_keyed(user, &[(sku, 2)], "key").await.unwrap(), order);
        let refused = own.client().create_keyed(user, &[(sku, 1)], "key").await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    }
    own.stock_becomes(sku, (3, 2)).await;
}
