//! A product service that is slow, down, wrong, or asks to be left alone.

use std::time::{Duration, Instant};

use dev::testing::{ProductFailure, free_port};
use futures::future::join_all;
use futures::join;

use crate::support::{Client, SOON, Shop, eventually};

/// A shop without Redis, so that each product that is not in memory is asked for.
async fn shop() -> Shop {
    let mut shop = Shop::open().await;
    shop.set("REDIS_ADDRESS", &format!("127.0.0.1:{}", free_port()));
    shop.set("RETRY_DELAY_MS", "1").set("REQUESTS_PER_SECOND", "1000");
    shop
}

#[actix_web::test]
async fn answers_that_make_no_sense_are_a_bad_gateway_and_are_not_remembered() {
    let shop = shop().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    for (failure, calls) in [(ProductFailure::Malformed, 1), (ProductFailure::Large(10_000), 1)] {
        let before = shop.products.calls();
        shop.products.controls().fail_next_with(1, failure);
        let reply = client.add(1, 1003, 1).await;
        assert_eq!((reply.status, reply.code()), (502, "BAD_GATEWAY"), "{failure:?}");
        assert_eq!(shop.products.calls() - before, calls, "{failure:?}");
    }
    assert_eq!(client.add(1, 1003, 1).await.status, 200);
    cart.stop().await;
}

#[actix_web::test]
async fn an_answer_that_is_cut_off_is_asked_for_again() {
    let shop = shop().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    shop.products.controls().fail_next_with(2, ProductFailure::Cut);
    assert_eq!(client.add(1, 1003, 1).await.status, 200);
    assert_eq!(shop.products.calls(), 3);
    cart.stop().await;
}

#[actix_web::test]
async fn a_service_that_asks_for_a_pause_gets_it() {
    let shop = shop().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    for sku in 1006..1106 {
        shop.loms.stock(sku, 10);
    }
    shop.products.controls().fail_next_with(1, ProductFailure::RetryAfter(2));
    let begun = Instant::now();
    let first = client.add(1, 1003, 1);
    let meanwhile = async {
        let asked = async || shop.products.calls() == 1;
        eventually(SOON, "the product service was asked", asked).await;
        // The answer may still be on its way.
        let mut skus = 1006..1106;
        eventually(SOON, "another product is refused at once", async || {
            client.add(2, skus.next().unwrap(), 1).await.status == 503
        })
        .await;
    };
    let (first, ()) = join!(first, meanwhile);
    assert_eq!(first.status, 200, "{first:?}");
    let calls: Vec<_> = shop.products.controls().calls();
    let of_first = calls.iter().filter(|call| call.sku == "1003").collect::<Vec<_>>();
    assert!(of_first[1].at - of_first[0].at >= Duration::from_millis(1900), "{calls:?}");
    assert!(begun.elapsed() >= Duration::from_secs(2));
    cart.stop().await;
}

#[actix_web::test]
async fn a_request_fails_at_once_if_the_pause_is_longer_than_its_deadline() {
    let shop = shop().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    shop.products.controls().fail_next_with(1, ProductFailure::RetryAfter(3600));
    let reply = client.add(1, 1003, 1).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(client.add(1, 1003, 1).await.status, 503, "it is left alone");
    assert_eq!(shop.products.calls(), 1);
    cart.stop().await;
}

#[actix_web::test]
async fn a_service_that_keeps_failing_is_left_alone_until_one_call_succeeds() {
    let shop = shop().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    shop.products.controls().fail_next(10_000, 500);
    for _ in 0..3 {
        assert_eq!(client.add(1, 1003, 1).await.status, 502);
    }
    let calls = shop.products.calls();
    assert_eq!(calls, 12, "three look-ups, each with three retries");
    let begun = Instant::now();
    let replies = join_all((0..20).map(|_| client.add(1, 1003, 1))).await;
    let trials = shop.products.calls() - calls;
    assert!(trials <= 1 + begun.elapsed().as_secs(), "{trials} calls in {:?}", begun.elapsed());
    assert!(trials > 0 || replies.iter().all(|reply| reply.status == 503), "{replies:?}");
    eventually(SOON, "a trial fails", async || {
        client.add(1, 1003, 1).await;
        shop.products.calls() > calls
    })
    .await;
    shop.products.controls().heal();
    eventually(SOON, "it is asked again", async || {
        let reply = client.add(1, 1003, 1).await;
        (reply.status == 200).then_some(()).ok_or(reply)
    })
    .await;
    cart.stop().await;
}

/// A shop in which products become stale at once.
async fn shop_of_stale_products() -> Shop {
    let mut shop = shop().await;
    shop.set("REDIS_TTL_KEY", "1").set("MAX_RETRIES", "0");
    shop
}

#[actix_web::test]
async fn a_stale_product_is_used_while_the_service_is_down() {
    let shop = shop_of_stale_products().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    let shown = client.show(1).await;
    assert_eq!(shop.products.calls(), 2, "it is asked each time");
    shop.products.controls().fail_next(10_000, 500);
    for _ in 0..5 {
        assert_eq!(client.show(1).await, shown);
    }
    assert_eq!(client.add(1, 1003, 1).await.status, 200);
    let unknown = client.add(1, 1004, 1).await;
    assert!([502, 503].contains(&unknown.status), "nothing is known of this one: {unknown:?}");
    cart.stop().await;
}

#[actix_web::test]
async fn a_stale_cart_is_shown_though_the_service_is_slow() {
    let shop = shop_of_stale_products().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    for sku in 1006..1056 {
        shop.loms.stock(sku, 10);
        client.fill(1, &[(sku, 1)]).await;
    }
    shop.products.controls().delay(Duration::from_mins(1));
    let shown = client.patient_for("6S").show(1).await;
    assert_eq!(shown.body["items"].as_array().map(Vec::len), Some(50), "{shown:?}");
    cart.stop().await;
}

#[actix_web::test]
async fn a_stale_product_is_forgotten_in_the_end() {
    let mut shop = shop_of_stale_products().await;
    shop.set("PRODUCT_STALE_TTL", "1ms");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    shop.products.controls().fail_next(1000, 500);
    eventually(SOON, "it is forgotten", async || client.show(1).await.status >= 500).await;
    cart.stop().await;
}

#[actix_web::test]
async fn a_product_that_left_the_catalogue_is_marked_and_cannot_be_ordered() {
    let shop = shop().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    let price = client.show(1).await.body["total_price"].clone();
    // The product service does not have it.
    shop.execute(
        "update carts set skus = array_append(skus, 2000000), counts = array_append(counts, 3)",
    )
    .await;
    let shown = client.show(1).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    let lost = &shown.body["items"][1];
    let expected = serde_json::json!(
        {"sku_id": 2_000_000, "name": "", "count": 3, "price": 0, "unknown": true}
    );
    assert_eq!((lost, &shown.body["total_price"]), (&expected, &price));
    assert!(shown.body["items"][0].get("unknown").is_none(), "{shown:?}");

    let refused = client.checkout(1).await;
    assert_eq!((refused.status, refused.code()), (412, "FAILED_PRECONDITION"));
    assert!(refused.body["message"].as_str().unwrap().contains("SKU 2000000"), "{refused:?}");
    let expected = serde_json::json!([{"sku_id": 2_000_000, "wanted": 3, "available": null}]);
    assert_eq!(refused.body["details"], expected);
    assert_eq!(shop.loms.keys_asked().len(), 0);
    assert_eq!(client.remove(1, 2_000_000).await.status, 204);
    assert_eq!(client.checkout(1).await.status, 200);
    cart.stop().await;
}

#[actix_web::test]
async fn a_cart_can_be_ordered_though_the_product_service_hangs() {
    let shop = shop().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    shop.execute(
        "insert into carts (user_id, version, skus, counts)
         select 1, 1, array_agg(sku), array_agg(1) from generate_series(1002, 1005) as sku",
    )
    .await;
    shop.products.controls().delay(Duration::from_mins(1));
    assert_eq!(client.checkout(1).await.status, 200);
    cart.stop().await;
}

#[actix_web::test]
async fn one_user_s_questions_leave_room_for_those_of_others() {
    let mut shop = shop().await;
    shop.set("REQUESTS_PER_SECOND", "4");
    for sku in 1006..1106 {
        shop.loms.stock(sku, 10);
    }
    let cart = shop.start().await;
    let client = Client::of(&cart);
    let eager = join_all((0..60).map(|n| client.add(1, 1006 + n, 1)));
    let modest = async {
        let asked = async || shop.products.calls() >= 4;
        eventually(SOON, "the product service is busy", asked).await;
        let begun = Instant::now();
        (client.add(2, 1100, 1).await, begun.elapsed())
    };
    let (eager, (modest, waited)) = join!(eager, modest);
    assert_eq!(modest.status, 200, "{modest:?}");
    assert!(waited < Duration::from_secs(4), "it waits for its turn only: {waited:?}");
    assert!(eager.iter().any(|reply| reply.status == 429), "{eager:?}");
    cart.stop().await;
}
