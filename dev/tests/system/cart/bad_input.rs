//! Malformed or out-of-range input is answered with 400 and an error body, and changes nothing.

use serde_json::json;

use crate::support::{Shop, new_user};

/// Invalid path segments where a positive 64-bit number is expected.
const NOT_AN_ID: [&str; 10] = [
    "0",
    "-1",
    "1.5",
    "abc",
    "9223372036854775808",
    "18446744073709551616",
    "%20",
    "1e3",
    "0x10",
    "null",
];

/// Bodies that are not a JSON object.
const MALFORMED: [&str; 12] = [
    "",
    " ",
    "{",
    "}",
    "[]",
    "null",
    "\"count\"",
    "17",
    "{\"count\":1",
    "{count:1}",
    "{\"count\":1}x",
    "\u{0}",
];

/// Invalid values for a count in a body.
const NOT_A_COUNT: [&str; 12] = [
    "0",
    "-1",
    "65536",
    "1.5",
    "\"1\"",
    "null",
    "true",
    "[]",
    "{}",
    "4294967297",
    "9223372036854775808",
    "1e400",
];

/// Invalid values for a user in a body.
const NOT_A_USER: [&str; 9] = [
    "0",
    "-1",
    "1.5",
    "\"1\"",
    "null",
    "false",
    "[1]",
    "9223372036854775808",
    "-9223372036854775809",
];

#[tokio::test]
async fn a_user_that_is_not_a_positive_number_is_refused_by_every_call() {
    let shop = Shop::shared().await;
    let cart = shop.cart.client().0;
    let sku = 1002;
    for user in NOT_AN_ID {
        let count = json!({"count": 1});
        cart.post(&format!("/user/{user}/cart/{sku}"), count)
            .await
            .expect_cart_error(400, "INVALID_ARGUMENT");
        cart.delete(&format!("/user/{user}/cart/{sku}"))
            .await
            .expect_cart_error(400, "INVALID_ARGUMENT");
        cart.delete(&format!("/user/{user}/cart")).await.expect_cart_error(400, "INVALID_ARGUMENT");
        cart.get(&format!("/user/{user}/cart")).await.expect_cart_error(400, "INVALID_ARGUMENT");
    }
}

#[tokio::test]
async fn a_sku_that_is_not_a_positive_number_of_32_bits_is_refused() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client().0, new_user());
    for sku in NOT_AN_ID.into_iter().chain(["4294967296", "9223372036854775807"]) {
        let path = format!("/user/{user}/cart/{sku}");
        cart.post(&path, json!({"count": 1})).await.expect_cart_error(400, "INVALID_ARGUMENT");
        cart.delete(&path).await.expect_cart_error(400, "INVALID_ARGUMENT");
    }
}

#[tokio::test]
async fn a_malformed_body_is_refused_by_both_calls_that_have_one() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client().0, new_user());
    for body in MALFORMED {
        let add = format!("/user/{user}/cart/1002");
        cart.post_text(&add, body).await.expect_cart_error(400, "INVALID_ARGUMENT");
        cart.post_text("/cart/checkout", body).await.expect_cart_error(400, "INVALID_ARGUMENT");
    }
    let bytes_of_no_text = b"{\"count\":1,\"a\":\"\xff\xfe\"}".to_vec();
    let request = cart.request(reqwest::Method::POST, &format!("/user/{user}/cart/1002"));
    crate::support::Answer::of(request.body(bytes_of_no_text))
        .await
        .expect_cart_error(400, "INVALID_ARGUMENT");
    let deep = format!("{{\"count\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    cart.post_text(&format!("/user/{user}/cart/1002"), &deep)
        .await
        .expect_cart_error(400, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn a_count_that_is_not_a_whole_number_from_1_to_65535_is_refused_and_named() {
    let shop = Shop::shared().await;
    let (cart, user) = (shop.cart.client(), new_user());
    let sku = shop.loms.stock_product(1_000_000).await;
    let path = format!("/user/{user}/cart/{sku}");
    let wrong = NOT_A_COUNT.iter().map(|count| format!("{{\"count\": {count}}}"));
    for body in wrong.chain(["{}".to_owned(), "{\"Counts\": 1}".to_owned()]) {
        cart.0.post_text(&path, &body).await.expect_cart_error(400, "INVALID_ARGUMENT");
    }
    for body in ["{\"count\": 0}", "{\"count\": 65536}", "{}"] {
        let message = cart.0.post_text(&path, body).await.json()["message"].to_string();
        assert!(message.contains("count"), "{body} was answered {message}");
    }
    assert_eq!(cart.lines(user).await, []);
}

#[tokio::test]
async fn a_checkout_for_no_user_is_refused_and_the_field_named() {
    let shop = Shop::shared().await;
    let cart = shop.cart.client().0;
    for user in NOT_A_USER {
        let body = format!("{{\"user\": {user}}}");
        cart.post_text("/cart/checkout", &body).await.expect_cart_error(400, "INVALID_ARGUMENT");
    }
    cart.post_text("/cart/checkout", "{}").await.expect_cart_error(400, "INVALID_ARGUMENT");
    for body in ["{\"user\": 0}", "{}"] {
        let message = cart.post_text("/cart/checkout", body).await.json()["message"].to_string();
        assert!(message.contains("user"), "{body} was answered {message}");
    }
}
