//! How cart uses the product service, Redis and loms, and what happens without them.

use std::time::{Duration, Instant};

use deadpool_redis::redis;
use dev::testing::free_port;
use futures::future::join_all;

use crate::support::{Client, Shop};

/// Makes Redis unreachable, so that cart has to ask for each product.
fn without_redis(shop: &mut Shop) {
    let nowhere = format!("127.0.0.1:{}", free_port());
    shop.set("REDIS_ADDRESS", &nowhere);
}

#[actix_web::test]
async fn concurrent_questions_for_one_product_make_one_call() {
    let mut shop = Shop::open().await;
    without_redis(&mut shop);
    let cart = shop.start().await;
    let client = Client::of(&cart);
    let replies = join_all((1..=30).map(|user| client.add(user, 1003, 1))).await;
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    assert_eq!(shop.products.calls(), 1);
    cart.stop().await;
}

#[actix_web::test]
async fn what_one_instance_asked_the_next_finds_in_redis() {
    let mut shop = Shop::open().await;
    // A Redis database that no other test uses.
    shop.set("REDIS_DB_INDEX", "7").set("REDIS_TIMEOUT", "5s");
    let mut connection = redis(&shop, 7).await;
    redis::cmd("FLUSHDB").exec_async(&mut connection).await.unwrap();
    let cart = shop.start().await;
    assert_eq!(Client::of(&cart).add(1, 1003, 1).await.status, 200);
    dev::testing::eventually(crate::support::SOON, "the product is in Redis", async || {
        let keys: i64 = redis::cmd("DBSIZE").query_async(&mut connection).await.unwrap();
        keys == 1
    })
    .await;
    cart.stop().await;
    let ttl_ms: i64 =
        redis::cmd("PTTL").arg("cart:product:1003").query_async(&mut connection).await.unwrap();
    assert!((240_000..=300_000).contains(&ttl_ms), "{ttl_ms}");
    let cart = shop.start().await;
    assert_eq!(Client::of(&cart).add(1, 1003, 1).await.status, 200);
    assert_eq!(shop.products.calls(), 1);
    cart.stop().await;
}

#[actix_web::test]
async fn products_answer_without_redis_and_it_costs_no_timeout() {
    let mut shop = Shop::open().await;
    without_redis(&mut shop);
    let cart = shop.start().await;
    let client = Client::of(&cart);
    for sku in [1002, 1003, 1004, 1005] {
        assert_eq!(client.add(1, sku, 1).await.status, 200);
    }
    assert_eq!(client.lines(1).await.len(), 4);
    cart.stop().await;
}

#[actix_web::test]
async fn what_may_pass_is_repeated_and_what_may_not_is_not() {
    let mut shop = Shop::open().await;
    without_redis(&mut shop);
    shop.set("RETRY_DELAY_MS", "10").set("REQUESTS_PER_SECOND", "1000");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    for (sku, status) in [(1002, 420), (1003, 429), (1004, 500)] {
        let before = shop.products.calls();
        shop.products.controls().fail_next(3, status);
        assert_eq!(client.add(1, sku, 1).await.status, 200, "{status}");
        assert_eq!(shop.products.calls() - before, 4, "{status}");
    }
    for (failure, status, calls) in [(503, 502, 4), (429, 503, 4), (401, 502, 1), (404, 412, 1)] {
        let before = shop.products.calls();
        shop.products.controls().heal();
        shop.products.controls().fail_next(20, failure);
        let reply = client.add(1, 1005, 1).await;
        assert_eq!(reply.status, status, "{failure}: {reply:?}");
        assert_eq!(shop.products.calls() - before, calls, "{failure}");
    }
    cart.stop().await;
}

#[actix_web::test]
async fn a_slow_product_service_is_a_gateway_timeout() {
    let mut shop = Shop::open().await;
    without_redis(&mut shop);
    shop.set("PRODUCT_SERVICE_TIMEOUT", "50ms").set("RETRY_DELAY_MS", "1");
    shop.products.controls().delay(Duration::from_secs(2));
    let cart = shop.start().await;
    let reply = Client::of(&cart).add(1, 1003, 1).await;
    assert_eq!((reply.status, reply.code()), (504, "DEADLINE_EXCEEDED"));
    cart.stop().await;
}

#[actix_web::test]
async fn no_second_sees_more_calls_than_allowed_retries_included() {
    let mut shop = Shop::open().await;
    without_redis(&mut shop);
    shop.set("RETRY_DELAY_MS", "1").set("MAX_RETRIES", "20");
    shop.products.controls().fail_next(15, 500);
    for sku in 2_000_000..2_000_020 {
        shop.loms.stock(sku, 1);
    }
    let cart = shop.start().await;
    let client = Client::of(&cart);
    let started = Instant::now();
    let replies =
        join_all((0..20).map(|n| client.add(n + 1, 2_000_000 + u32::try_from(n).unwrap(), 1)))
            .await;
    assert!(replies.iter().all(|reply| reply.status == 412), "{replies:?}");
    let calls: Vec<Instant> = shop.products.controls().calls().iter().map(|call| call.at).collect();
    assert_eq!(calls.len(), 35);
    assert!(
        calls.windows(11).all(|eleven| eleven[10] - eleven[0] >= Duration::from_secs(1)),
        "{calls:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(6), "the pace is used");
    cart.stop().await;
}

#[actix_web::test]
async fn without_loms_reads_work_and_adds_say_unavailable() {
    let mut shop = Shop::open().await;
    let cart = shop.start().await;
    assert_eq!(Client::of(&cart).add(1, 1003, 1).await.status, 200);
    cart.stop().await;
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    shop.set("LOMS_BASE_URL", &nowhere);
    let cart = shop.start().await;
    let client = Client::of(&cart);
    assert_eq!(client.lines(1).await, [(1003, 1)]);
    let reply = client.add(1, 1003, 1).await;
    assert_eq!((reply.status, reply.code()), (503, "UNAVAILABLE"));
    // One second with 50% jitter.
    assert!(matches!(reply.retry_after, Some(1 | 2)), "{:?}", reply.retry_after);
    assert_eq!(client.remove(1, 1003).await.status, 204);
    cart.stop().await;
}

async fn redis(shop: &Shop, database: u8) -> redis::aio::MultiplexedConnection {
    let url = format!("redis://{}/{database}", shop.servers.redis);
    let client = redis::Client::open(url).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

#[actix_web::test]
async fn a_sku_that_is_not_in_stock_costs_no_call() {
    let mut shop = Shop::open().await;
    without_redis(&mut shop);
    let cart = shop.start().await;
    let client = Client::of(&cart);
    let replies = join_all((0..200).map(|n| client.add(1, 2_000_000 + n, 1))).await;
    assert!(replies.iter().all(|reply| reply.status == 412), "{replies:?}");
    assert_eq!(shop.products.calls(), 0);
    assert_eq!(client.add(2, 1003, 1).await.status, 200, "the others are served");
    cart.stop().await;
}

#[actix_web::test]
async fn a_large_cart_leaves_the_product_service_to_others() {
    let mut shop = Shop::open().await;
    without_redis(&mut shop);
    let cart = shop.start().await;
    let client = Client::of(&cart);
    // Lines whose products no process knows, more than may wait for the product service.
    shop.execute(
        "insert into carts (user_id, version, skus, counts)
         select 1, 1, array_agg(sku), array_agg(1) from generate_series(5000, 5149) as sku",
    )
    .await;
    shop.products.controls().delay(Duration::from_millis(10));
    let large = client.patient_for("5S");
    let other = async {
        dev::testing::eventually(crate::support::SOON, "the large cart is looked up", async || {
            shop.products.calls() > 0
        })
        .await;
        client.add(2, 1003, 1).await
    };
    let (large, other) = futures::join!(large.show(1), other);
    assert_eq!(other.status, 200, "{other:?}");
    assert_ne!(large.status, 429, "{large:?}");
    cart.stop().await;
}
