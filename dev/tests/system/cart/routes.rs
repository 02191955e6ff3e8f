//! Requests to unknown routes of cart are answered with an error body, too.

use reqwest::Method;

use crate::support::{Answer, Shop};

#[tokio::test]
async fn unknown_routes_are_not_found() {
    let shop = Shop::shared().await;
    let cart = shop.cart.client().0;
    for path in [
        "/",
        "/user",
        "/user/1",
        "/users/1/cart",
        "/user/1/cart/2/3",
        "/cart",
        "/cart/checkout/1",
        "/x%00y",
    ] {
        cart.get(path).await.expect_cart_error(404, "NOT_FOUND");
    }
    cart.post_text("/order/create", "{}").await.expect_cart_error(404, "NOT_FOUND");
}

#[tokio::test]
async fn wrong_methods_are_refused_naming_the_right_ones() {
    let shop = Shop::shared().await;
    let cart = shop.cart.client().0;
    let wrong = [
        (Method::GET, "/user/1/cart/2", ["POST", "DELETE"].as_slice()),
        (Method::PUT, "/user/1/cart/2", &["POST", "DELETE"]),
        (Method::PATCH, "/user/1/cart/2", &["POST", "DELETE"]),
        (Method::POST, "/user/1/cart", &["GET", "DELETE"]),
        (Method::PUT, "/user/1/cart", &["GET", "DELETE"]),
        (Method::GET, "/cart/checkout", &["POST"]),
        (Method::DELETE, "/cart/checkout", &["POST"]),
    ];
    for (method, path, allowed) in wrong {
        let answer = Answer::of(cart.request(method, path)).await;
        let named = answer.header("allow").unwrap_or_default().to_owned();
        assert!(
            allowed.iter().all(|method| named.contains(method)),
            "{}: Allow: {named}",
            answer.asked
        );
        answer.expect_cart_error(405, "METHOD_NOT_ALLOWED");
    }
}
