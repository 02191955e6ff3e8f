//! The `Idempotency-Key` header of the two POST calls.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use crate::support::{Cart, Env, OwnCache, ProductStandIn, SOON, Shop, eventually, new_user};

#[tokio::test]
async fn the_same_request_under_one_key_is_done_once_and_answered_alike() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(10).await;
    for _ in 0..3 {
        cart.add_keyed(user, sku, 2, "add-1").await.expect_json(200, &json!({}));
    }
    assert_eq!(cart.lines(user).await, [(u64::from(sku), 2)]);
    let first = cart.checkout_keyed(user, "order-1").await.expect(200).json();
    for _ in 0..3 {
        cart.checkout_keyed(user, "order-1").await.expect_json(200, &first);
    }
    assert_eq!(shop.loms.orders_of(user).await.len(), 1);
}

#[tokio::test]
async fn a_key_that_returns_with_another_body_or_route_is_refused() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let (sku, other) = (shop.loms.stock_product(10).await, shop.loms.stock_product(10).await);
    cart.add_keyed(user, sku, 1, "k").await.expect(200);
    cart.add_keyed(user, sku, 2, "k").await.expect_cart_error(422, "IDEMPOTENCY_KEY_REUSED");
    cart.add_keyed(user, other, 1, "k").await.expect_cart_error(422, "IDEMPOTENCY_KEY_REUSED");
    cart.checkout_keyed(user, "k").await.expect_cart_error(422, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(cart.lines(user).await, [(u64::from(sku), 1)]);
}

#[tokio::test]
async fn a_key_belongs_to_its_user() {
    let shop = Shop::shared().await;
    let (cart, users) = (shop.cart.client(), [new_user(), new_user()]);
    let sku = shop.loms.stock_product(10).await;
    for (user, count) in users.into_iter().zip([1, 2]) {
        cart.add_keyed(user, sku, count, "shared").await.expect(200);
        assert_eq!(cart.lines(user).await, [(u64::from(sku), u64::from(count))]);
    }
}

#[tokio::test]
async fn after_an_error_the_key_is_free() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(5).await;
    cart.checkout_keyed(user, "k").await.expect_cart_error(404, "NOT_FOUND");
    cart.add_keyed(user, sku, 6, "k").await.expect_cart_error(412, "FAILED_PRECONDITION");
    cart.add_keyed(user, sku, 0, "k").await.expect_cart_error(400, "INVALID_ARGUMENT");
    cart.add_keyed(user, sku, 5, "k").await.expect(200);
    assert_eq!(cart.lines(user).await, [(u64::from(sku), 5)]);
}

#[tokio::test]
async fn concurrent_requests_under_one_key_are_done_once() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(100).await;
    let answers = join_all((0..20).map(|_| cart.add_keyed(user, sku, 1, "k"))).await;
    let (done, in_flight): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert!(!done.is_empty());
    for answer in in_flight {
        answer.expect_cart_error(409, "CONFLICT");
    }
    assert_eq!(cart.lines(user).await, [(u64::from(sku), 1)]);
}

#[tokio::test]
async fn a_key_that_is_still_in_flight_conflicts() {
    let shop = Shop::shared().await;
    let products = ProductStandIn::start().unwrap();
    let cache = OwnCache::start().await;
    let own =
        Cart::start(&cache.servers, shop.loms.grpc_port, products.base_url(), Env::new()).await;
    let (cart, user) = (own.client(), new_user());
    let sku = shop.loms.stock_product(10).await;
    products.controls().delay(Duration::from_millis(1500));
    let slow = tokio::spawn({
        let cart = cart.clone();
        async move { cart.add_keyed(user, sku, 1, "k").await }
    });
    eventually(SOON, "the product service is asked", async || products.calls() > 0).await;
    cart.add_keyed(user, sku, 1, "k").await.expect_cart_error(409, "CONFLICT");
    slow.await.unwrap().expect(200);
    cart.add_keyed(user, sku, 1, "k").await.expect_json(200, &json!({}));
    assert_eq!(cart.lines(user).await, [(u64::from(sku), 1)]);
}
