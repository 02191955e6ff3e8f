//! Every error of the gateway, with its HTTP status and its gRPC code.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Shop, new_user};

const INVALID: i32 = 3;
const NOT_FOUND: i32 = 5;
const FAILED_PRECONDITION: i32 = 9;
const UNIMPLEMENTED: i32 = 12;

#[tokio::test]
async fn a_create_that_is_malformed_or_breaks_a_rule_is_refused() {
    let shop = Shop::shared().await;
    let (gateway, user) = (shop.loms.gateway(), new_user());
    let order = |order: &str| format!("{{\"order\": {order}}}");
    let item = |item: &str| format!("{{\"order\": {{\"user\": {user}, \"items\": [{item}]}}}}");
    let whole =
        ["", "{", "[]", "17", "\"order\"", "{}", "{\"order\": 1}", "{\"order\": null}", "{}}"];
    let users =
        ["0", "-1", "1.5", "\"\"", "\"abc\"", "9223372036854775808", "true", "[]"].map(|user| {
            order(&format!("{{\"user\": {user}, \"items\": [{{\"sku\": 1002, \"count\": 1}}]}}"))
        });
    let orders =
        ["{}", "{\"user\": 1}", "{\"user\": 1, \"items\": []}", "{\"user\": 1, \"items\": {}}"]
            .map(order);
    let items = [
        "{}",
        "{\"sku\": 1002}",
        "{\"count\": 1}",
        "{\"sku\": 0, \"count\": 1}",
        "{\"sku\": -1, \"count\": 1}",
        "{\"sku\": 4294967296, \"count\": 1}",
        "{\"sku\": 1002, \"count\": 0}",
        "{\"sku\": 1002, \"count\": -1}",
        "{\"sku\": 1002, \"count\": 1.5}",
        "{\"sku\": 1002, \"count\": 4294967296}",
        "{\"sku\": 1002, \"count\": \"one\"}",
        "{\"sku\": 1002, \"count\": 4294967295}, {\"sku\": 1002, \"count\": 1}",
        "null",
    ]
    .map(item);
    for body in whole.map(str::to_owned).into_iter().chain(users).chain(orders).chain(items) {
        gateway.post_text("/v1/orders", &body).await.expect_gateway_error(400, INVALID);
    }
    assert_eq!(shop.loms.orders_of(user).await, []);
}

#[tokio::test]
async fn an_order_that_the_stock_does_not_cover_fails_its_precondition() {
    let shop = Shop::shared().await;
    let (gateway, user) = (shop.loms.gateway(), new_user());
    let sku = shop.loms.stock(1).await;
    let order = json!({"order": {"user": user, "items": [{"sku": sku, "count": 2}]}});
    let error = gateway.post("/v1/orders", order).await.expect(400).json();
    assert_eq!(error["code"], FAILED_PRECONDITION);
    let violation = &error["details"][0]["violations"][0];
    assert_eq!(violation["subject"], format!("sku/{sku}"), "{error}");
    assert_eq!(violation["description"], format!("sku {sku}: 2 wanted, 1 left"), "{error}");
    let (id, _) = shop.loms.orders_of(user).await[0];
    assert_eq!(
        gateway.get(&format!("/v1/orders/{id}")).await.expect(200).json()["order"]["status"],
        "FAILED"
    );
}

#[tokio::test]
async fn ids_in_the_path_are_checked_and_looked_for() {
    let shop = Shop::shared().await;
    let gateway = shop.loms.gateway();
    let not_an_id =
        ["0", "-1", "1.5", "abc", "9223372036854775808", "%20", "1e3", "+1002", "01002"];
    let no_order = ["1", "999", "1002", "9223372036854775807", "900000000001"];
    let rows = not_an_id.map(|id| (id, 400, INVALID)).into_iter();
    for (id, status, code) in rows.chain(no_order.map(|id| (id, 404, NOT_FOUND))) {
        gateway.get(&format!("/v1/orders/{id}")).await.expect_gateway_error(status, code);
        for call in ["pay", "cancel"] {
            let path = format!("/v1/orders/{id}/{call}");
            gateway.post(&path, json!({})).await.expect_gateway_error(status, code);
        }
    }
    for sku in ["0", "-1", "1.5", "abc", "4294967296", "9223372036854775808", "+1002", "01002"] {
        gateway.get(&format!("/v1/stocks/{sku}")).await.expect_gateway_error(400, INVALID);
    }
    for sku in ["1", "4294967294"] {
        gateway.get(&format!("/v1/stocks/{sku}")).await.expect_gateway_error(404, NOT_FOUND);
    }
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods_are_refused_in_the_same_shape() {
    let shop = Shop::shared().await;
    let gateway = shop.loms.gateway();
    for path in [
        "/",
        "/v1",
        "/v1/order",
        "/v2/orders",
        "/v1/orders/1/pay/2",
        "/v1/orders/1/refund",
        "/v1/stocks",
    ] {
        gateway.get(path).await.expect_gateway_error(404, NOT_FOUND);
    }
    let wrong = [
        (Method::PUT, "/v1/orders"),
        (Method::DELETE, "/v1/orders/1000"),
        (Method::POST, "/v1/orders/1000"),
        (Method::GET, "/v1/orders/1000/pay"),
        (Method::GET, "/v1/orders/1000/cancel"),
        (Method::POST, "/v1/stocks/1002"),
    ];
    for (method, path) in wrong {
        Answer::of(gateway.request(method, path)).await.expect_gateway_error(405, UNIMPLEMENTED);
    }
}
