//! JSON as protobuf defines it: lenient when reading, strict when writing.

use serde_json::{Value, json};

use crate::support::{Answer, Rest, Shop, items, new_user};

async fn create(gateway: &Rest, body: &str) -> i64 {
    let answer = gateway.post_text("/v1/orders", body).await.expect(200).json();
    answer["orderId"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn numbers_come_as_numbers_or_strings_and_unknown_members_are_ignored() {
    let shop = Shop::shared().await;
    let (gateway, loms, user) = (shop.loms.gateway(), shop.loms.client(), new_user());
    let sku = shop.loms.stock(100).await;
    let bodies = [
        format!(r#"{{"order": {{"user": {user}, "items": [{{"sku": {sku}, "count": 2}}]}}}}"#),
        format!(
            r#"{{"order": {{"user": "{user}", "items": [{{"sku": "{sku}", "count": "2"}}]}}}}"#
        ),
        format!(r#"{{"order": {{"user": {user}.0, "items": [{{"sku": {sku}, "count": 2e0}}]}}}}"#),
        format!(
            r#"{{"x": [1], "order": {{"y": null, "user": {user}, "items": [{{"sku": {sku}, "count": 2, "z": {{}}}}]}}}}"#
        ),
        format!(
            r#"{{"order": {{"status": "PAYED", "id": "77", "user": {user}, "items": [{{"sku": {sku}, "count": 2}}]}}}}"#
        ),
    ];
    for body in bodies {
        let order = loms.info(create(&gateway, &body).await).await.unwrap();
        assert_eq!((order.user, order.items), (user, items(&[(sku, 2)])), "{body}");
        assert_eq!(order.status, "AWAITING_PAYMENT", "{body}");
    }
}

#[tokio::test]
async fn a_number_of_64_bits_survives() {
    let shop = Shop::shared().await;
    let (gateway, user) = (shop.loms.gateway(), i64::MAX - 5);
    let sku = shop.loms.stock(9_007_199_254_740_993).await;
    let body =
        format!(r#"{{"order": {{"user": {user}, "items": [{{"sku": {sku}, "count": 1}}]}}}}"#);
    let id = create(&gateway, &body).await;
    let shown = gateway.get(&format!("/v1/orders/{id}")).await.expect(200).json();
    assert_eq!(shown["order"]["user"], json!("9223372036854775802"));
    let stock = gateway.get(&format!("/v1/stocks/{sku}")).await.expect(200).json();
    assert_eq!(stock, json!({"count": "9007199254740992"}));
}

#[tokio::test]
async fn a_number_is_taken_exactly_or_not_at_all() {
    let shop = Shop::shared().await;
    let (gateway, loms, sku) =
        (shop.loms.gateway(), shop.loms.client(), shop.loms.stock(100).await);
    let body = |user: &str, count: &str| {
        format!(r#"{{"order": {{"user": {user}, "items": [{{"sku": {sku}, "count": {count}}}]}}}}"#)
    };
    for (user, expected) in [
        ("9007199254740993.0", 9_007_199_254_740_993),
        ("9.007199254740993e15", 9_007_199_254_740_993),
        ("\"9007199254740993e0\"", 9_007_199_254_740_993),
        ("9223372036854775807.0", i64::MAX),
    ] {
        let order = loms.info(create(&gateway, &body(user, "1")).await).await.unwrap();
        assert_eq!(order.user, expected, "{user}");
    }
    let twice = format!(
        r#"{{"order": {{"user": 1, "user": 1, "items": [{{"sku": {sku}, "count": 1}}]}}}}"#
    );
    let wrong = [
        body("9223372036854775808.0", "1"),
        body("9223372036854775807.5", "1"),
        body("\"+7\"", "1"),
        body("\"007\"", "1"),
        body("1", "1e-1"),
        body("1", "4294967296.0"),
        twice,
        body("1", "1")
            .replace(r#"{"order""#, r#"{"idempotencyKey": "a", "idempotency_key": "a", "order""#),
    ];
    for body in wrong {
        let answer = gateway.post_text("/v1/orders", &body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
    }
}

#[tokio::test]
async fn members_that_hold_their_default_are_shown() {
    let shop = Shop::shared().await;
    let gateway = shop.loms.gateway();
    let sku = shop.loms.stock(0).await;
    gateway.get(&format!("/v1/stocks/{sku}")).await.expect_json(200, &json!({"count": "0"}));
    let list = gateway.get("/v1/orders").await.expect(200).json();
    assert!(list["orders"].is_array() && list["nextPageToken"].is_string(), "{list}");
}

#[tokio::test]
async fn the_id_in_the_path_wins() {
    let shop = Shop::shared().await;
    let (gateway, loms) = (shop.loms.gateway(), shop.loms.client());
    let sku = shop.loms.stock(10).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(loms.create(new_user(), &[(sku, 1)]).await.unwrap());
    }
    let bodies = [
        json!({"orderId": ids[3].to_string()}),
        json!({"order_id": ids[3]}),
        json!({"orderId": "0"}),
    ];
    for (id, body) in ids.iter().zip(bodies) {
        gateway.post(&format!("/v1/orders/{id}/pay"), body.clone()).await.expect(200);
        assert_eq!(loms.state(*id).await, "PAYED", "{body}");
    }
    assert_eq!(loms.state(ids[3]).await, "AWAITING_PAYMENT");
}

#[tokio::test]
async fn a_body_is_read_whatever_its_content_type() {
    let shop = Shop::shared().await;
    let (gateway, user) = (shop.loms.gateway(), new_user());
    let sku = shop.loms.stock(10).await;
    let body: Value = json!({"order": {"user": user, "items": [{"sku": sku, "count": 1}]}});
    for content_type in
        ["text/plain", "application/octet-stream", "application/json; charset=utf-8"]
    {
        let request = gateway
            .request(reqwest::Method::POST, "/v1/orders")
            .header("content-type", content_type);
        let answer = Answer::of(request.body(body.to_string())).await;
        assert_eq!(answer.status, 200, "{content_type}: {}", answer.body);
    }
}
