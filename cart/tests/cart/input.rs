//! Malformed requests, case by case.

use reqwest::Method;
use serde_json::json;

use crate::support::{Client, Shop};

#[actix_web::test]
async fn every_rule_of_a_request_has_its_error() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    let post = async |path: &str, body: &str| {
        client.send(Method::POST, path, Some(body.to_owned()), None).await
    };
    for count in [
        "0",
        "65536",
        "-1",
        "1.5",
        "5e-1",
        "1e400",
        "\"1\"",
        "null",
        "true",
        "[1]",
        "99999999999999999999",
    ] {
        let reply = post("/user/1/cart/1003", &format!("{{\"count\": {count}}}")).await;
        assert_eq!((reply.status, reply.code()), (400, "INVALID_ARGUMENT"), "{count}");
        assert!(reply.body["message"].as_str().unwrap().contains("count"), "{count}: {reply:?}");
    }
    for body in ["", "{}", "[5]", "5", "{", "count=1", "{\"count\": 1} x"] {
        assert_eq!(post("/user/1/cart/1003", body).await.status, 400, "{body}");
    }
    for user in ["0", "-1", "9223372036854775808", "1.5", "x", "%20", "+1"] {
        let reply = post(&format!("/user/{user}/cart/1003"), "{\"count\": 1}").await;
        assert_eq!(reply.status, 400, "{user}");
        assert!(reply.body["message"].as_str().unwrap().contains("user_id"), "{user}: {reply:?}");
        for method in [Method::GET, Method::DELETE] {
            assert_eq!(
                client.send(method, &format!("/user/{user}/cart"), None, None).await.status,
                400,
                "{user}"
            );
        }
    }
    for sku in ["0", "-1", "4294967296", "18446744073709551616", "1.5", "x"] {
        let reply = post(&format!("/user/1/cart/{sku}"), "{\"count\": 1}").await;
        assert_eq!(reply.status, 400, "{sku}");
        assert!(reply.body["message"].as_str().unwrap().contains("sku_id"), "{sku}: {reply:?}");
        assert_eq!(
            client.send(Method::DELETE, &format!("/user/1/cart/{sku}"), None, None).await.status,
            400
        );
    }
    for user in ["0", "-1", "9223372036854775808", "9223372036854775808.0", "1.5", "\"1\"", "null"]
    {
        let reply = post("/cart/checkout", &format!("{{\"user\": {user}}}")).await;
        assert_eq!(reply.status, 400, "{user}");
        assert!(reply.body["message"].as_str().unwrap().contains("user"), "{user}: {reply:?}");
    }
    assert_eq!(post("/user/9223372036854775807/cart/1003", "{\"count\": 1}").await.status, 200);
    assert_eq!(client.show(i64::MAX).await.status, 200);
    assert_eq!(shop.count("select count(*) from carts").await, 1);
    cart.stop().await;
}

#[actix_web::test]
async fn bodies_are_read_as_the_original_reads_them_and_numbers_exactly() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    let post = async |path: &str, body: &str| {
        client.send(Method::POST, path, Some(body.to_owned()), None).await
    };
    for body in [
        "{\"Count\": 5}",
        "{\"COUNT\": 5.0}",
        "{\"count\": 5e0}",
        "{\"coUnt\": 50e-1, \"note\": {\"count\": 1}}",
    ] {
        let reply = post("/user/9007199254740993/cart/1003", body).await;
        assert_eq!(reply.status, 200, "{body}: {reply:?}");
    }
    assert_eq!(client.lines(9_007_199_254_740_993).await, [(1003, 20)]);
    for (path, body, field) in [
        ("/user/1/cart/1003", "{\"count\": 5, \"count\": 5}", "count"),
        ("/user/1/cart/1003", "{\"count\": 5, \"Count\": 6}", "count"),
        ("/cart/checkout", "{\"user\": 1, \"USER\": 2}", "user"),
    ] {
        let reply = post(path, body).await;
        assert_eq!((reply.status, reply.code()), (400, "INVALID_ARGUMENT"), "{body}");
        assert!(reply.body["message"].as_str().unwrap().contains(field), "{body}: {reply:?}");
    }
    let ordered = post("/cart/checkout", "{\"User\": 9007199254740993.0}").await;
    assert_eq!(ordered.status, 200, "{ordered:?}");
    assert_eq!(shop.loms.orders()[0].user, 9_007_199_254_740_993);
    cart.stop().await;
}

#[actix_web::test]
async fn unknown_routes_wrong_methods_and_large_bodies_have_the_shape_of_every_error() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    let unknown = client.send(Method::GET, "/nowhere", None, None).await;
    assert_eq!((unknown.status, unknown.code()), (404, "NOT_FOUND"));
    let wrong = client.send(Method::PUT, "/user/1/cart", None, None).await;
    assert_eq!((wrong.status, wrong.code()), (405, "METHOD_NOT_ALLOWED"));
    let padding = "x".repeat(17 * 1024);
    let large = client.post("/cart/checkout", &json!({"user": 1, "padding": padding}), None).await;
    assert_eq!((large.status, large.code()), (413, "PAYLOAD_TOO_LARGE"));
    let key = "k".repeat(256);
    let keyed = client.add_with_key(1, 1003, 1, &key).await;
    assert_eq!((keyed.status, keyed.code()), (400, "INVALID_ARGUMENT"));
    assert_eq!(client.send(Method::GET, "/openapi.json", None, None).await.status, 200);
    cart.stop().await;
}
