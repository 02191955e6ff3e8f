//! `POST /user/{user_id}/cart/{sku_id}`.

use serde_json::{Value, json};

use crate::support::{Answer, Shop, new_user};

#[tokio::test]
async fn adding_answers_an_empty_object_and_adds_to_what_the_cart_holds() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(10).await;
    cart.add(user, sku, 2).await.expect_json(200, &json!({}));
    cart.add(user, sku, 3).await.expect_json(200, &json!({}));
    assert_eq!(cart.lines(user).await, [(u64::from(sku), 5)]);
}

#[tokio::test]
async fn a_line_holds_at_most_65535_pieces() {
    let shop = Shop::shared().await;
    let cart = shop.cart.client();
    let sku = shop.loms.stock_product(200_000).await;
    for (first, second, held) in [(65535, 1, 65535), (65534, 2, 65534), (1, 65535, 1)] {
        let user = new_user();
        cart.add(user, sku, first).await.expect(200);
        cart.add(user, sku, second).await.expect_cart_error(400, "INVALID_ARGUMENT");
        assert_eq!(cart.lines(user).await, [(u64::from(sku), held)], "{first} and {second}");
    }
}

#[tokio::test]
async fn more_than_the_stock_holds_is_refused_counting_what_the_line_holds_already() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(5).await;
    cart.add(user, sku, 6).await.expect_cart_error(412, "FAILED_PRECONDITION");
    cart.add(user, sku, 3).await.expect(200);
    cart.add(user, sku, 3).await.expect_cart_error(412, "FAILED_PRECONDITION");
    cart.add(user, sku, 2).await.expect(200);
    assert_eq!(cart.lines(user).await, [(u64::from(sku), 5)]);
}

#[tokio::test]
async fn the_stock_check_reserves_nothing() {
    let shop = Shop::shared().await;
    let cart = shop.cart.client();
    let sku = shop.loms.stock_product(5).await;
    cart.add(new_user(), sku, 5).await.expect(200);
    cart.add(new_user(), sku, 5).await.expect(200);
    assert_eq!(shop.loms.stock_row(sku).await, (5, 0));
}

#[tokio::test]
async fn a_sku_that_the_product_service_does_not_know_is_refused() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock(10).await;
    cart.add(user, sku, 1).await.expect_cart_error(412, "FAILED_PRECONDITION");
    cart.show(user).await.expect_cart_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn a_product_that_was_never_in_stock_is_refused() {
    let shop = Shop::shared().await;
    // The last product of the stand-in. No test puts it into stock.
    shop.cart.client().add(new_user(), 1325, 1).await.expect_cart_error(412, "FAILED_PRECONDITION");
}

#[tokio::test]
async fn the_largest_user_and_the_dearest_product_are_served_and_no_total_wraps() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), i64::MAX);
    shop.loms.stock_of(u32::MAX, 65535).await;
    cart.add(user, u32::MAX, 65535).await.expect(200);
    let shown = cart.show(user).await.expect(200).json();
    assert_eq!(shown["items"][0]["price"], json!(u32::MAX));
    assert_eq!(shown["total_price"], json!(u64::from(u32::MAX) * 65535));
    let order = cart.order(user).await;
    let order = shop.loms.client().info(order).await.unwrap();
    assert_eq!((order.user, order.items[0].sku, order.items[0].count), (user, u32::MAX, 65535));
}

#[tokio::test]
async fn a_body_is_read_as_json_whatever_its_content_type() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(100).await;
    let types = [
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "image/png",
        "nonsense",
    ];
    for content_type in types {
        let request = cart.0.request(reqwest::Method::POST, &format!("/user/{user}/cart/{sku}"));
        let answer =
            Answer::of(request.header("content-type", content_type).body("{\"count\": 1}")).await;
        assert_eq!(answer.status, 200, "{content_type}: {}", answer.body);
    }
    let bare = cart.0.request(reqwest::Method::POST, &format!("/user/{user}/cart/{sku}"));
    Answer::of(bare.body("{\"count\": 1}")).await.expect(200);
    assert_eq!(cart.lines(user).await, [(u64::from(sku), 6)]);
}

#[tokio::test]
async fn a_body_of_16_kib_is_read_and_a_longer_one_is_too_large() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(10).await;
    let path = format!("/user/{user}/cart/{sku}");
    let count = "{\"count\": 1}";
    let body = |size: usize| count.to_owned() + &" ".repeat(size - count.len());
    cart.0
        .post_text(&path, &body(16 * 1024))
        .await
        .expect_json(200, &Value::Object(serde_json::Map::new()));
    for (path, size) in
        [(path.as_str(), 16 * 1024 + 1), (path.as_str(), 300_000), ("/cart/checkout", 20_000)]
    {
        cart.0.post_text(path, &body(size)).await.expect_cart_error(413, "PAYLOAD_TOO_LARGE");
    }
    assert_eq!(cart.lines(user).await, [(u64::from(sku), 1)]);
}
