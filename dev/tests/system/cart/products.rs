//! How cart calls the product service: within its rate limit, and as rarely as its cache allows.

use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::support::{Cart, Env, OwnCache, ProductStandIn, Shop, new_user, set};

/// A cart with its own product service and its own cache.
async fn own_cart(shop: &Shop, products: &ProductStandIn, more: Env) -> (Cart, OwnCache) {
    let cache = OwnCache::start().await;
    (Cart::start(&cache.servers, shop.loms.grpc_port, products.base_url(), more).await, cache)
}

#[tokio::test]
async fn an_answer_of_the_product_service_is_remembered() {
    let shop = Shop::shared().await;
    let products = ProductStandIn::start().unwrap();
    let (own, _cache) = own_cart(&shop, &products, Env::new()).await;
    let (cart, user) = (own.client(), new_user());
    let sku = shop.loms.stock_product(100).await;
    for _ in 0..5 {
        cart.add(user, sku, 1).await.expect(200);
        cart.show(user).await.expect(200);
    }
    assert_eq!(products.calls(), 1);
    assert_eq!(products.controls().calls()[0].sku, sku.to_string());
}

#[tokio::test]
async fn a_request_to_slow_down_and_a_failure_are_tried_again_but_an_unknown_sku_is_not() {
    let shop = Shop::shared().await;
    let products = ProductStandIn::start().unwrap();
    let (own, _cache) = own_cart(&shop, &products, Env::new()).await;
    let (cart, user) = (own.client(), new_user());
    for status in [420, 429, 500, 503] {
        let sku = shop.loms.stock_product(10).await;
        let before = products.calls();
        products.controls().fail_next(2, status);
        cart.add(user, sku, 1).await.expect(200);
        assert_eq!(products.calls() - before, 3, "calls after {status} twice");
    }
    let (unknown, before) = (shop.loms.stock(10).await, products.calls());
    cart.add(user, unknown, 1).await.expect_cart_error(412, "FAILED_PRECONDITION");
    assert_eq!(products.calls() - before, 1);
}

#[tokio::test]
async fn a_product_service_that_keeps_failing_is_a_failed_dependency_and_no_secret_is_told() {
    let shop = Shop::shared().await;
    let products = ProductStandIn::start().unwrap();
    let (own, _cache) = own_cart(&shop, &products, Env::new()).await;
    let (cart, user) = (own.client(), new_user());
    let sku = shop.loms.stock_product(10).await;
    products.controls().fail_next(50, 503);
    let answer = cart.add(user, sku, 1).await;
    assert!([502, 503, 504].contains(&answer.status), "{answer:?}");
    assert!(products.calls() <= 4, "MAX_RETRIES is 3, but {} calls were made", products.calls());
    products.stop();
    let answer = cart.add(user, sku, 1).await;
    assert!([502, 503, 504].contains(&answer.status), "{answer:?}");
    for secret in ["testtoken", "127.0.0.1", "get_product", "reqwest", "os error"] {
        assert!(!answer.body.contains(secret), "{answer:?} tells {secret}");
    }
    cart.show(user).await.expect_cart_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn at_most_ten_calls_a_second_leave_one_cart_retries_included() {
    let shop = Shop::shared().await;
    let products = ProductStandIn::start().unwrap();
    let ten = vec![set("REQUESTS_PER_SECOND", 10), set("RETRY_DELAY_MS", 10)];
    let (own, _cache) = own_cart(&shop, &products, ten).await;
    let cart = own.client();
    products.controls().fail_next(10, 429);
    let mut skus = Vec::new();
    for _ in 0..20 {
        skus.push(shop.loms.stock_product(10).await);
    }
    let started = Instant::now();
    join_all(skus.iter().map(|sku| cart.add(new_user(), *sku, 1))).await;
    let calls: Vec<Instant> = products.controls().calls().iter().map(|call| call.at).collect();
    assert!(calls.len() >= 20, "{} calls in {:?}", calls.len(), started.elapsed());
    for (index, first) in calls.iter().enumerate() {
        // The calls are timed on arrival. Calls of one second may arrive slightly closer together
        // than they left.
        let within = calls[index..]
            .iter()
            .take_while(|at| **at - *first < Duration::from_millis(900))
            .count();
        assert!(within <= 11, "{within} calls within 900 ms");
    }
}
