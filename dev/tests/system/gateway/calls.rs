//! One order through all calls of the gateway.

use serde_json::{Value, json};

use crate::support::{SOON, Shop, eventually, new_user, new_user_on};

#[tokio::test]
async fn an_order_is_created_shown_and_paid() {
    let shop = Shop::shared().await;
    let (gateway, user) = (shop.loms.gateway(), new_user());
    let sku = shop.loms.stock(10).await;
    let order = json!({"order": {"user": user, "items": [{"sku": sku, "count": 4}]}});
    let answer = gateway.post("/v1/orders", order).await.expect(200).json();
    let id = answer["orderId"].as_str().expect("orderId is a string").to_owned();
    assert_eq!(answer, json!({"orderId": id}));

    let mut shown = json!({"order": {
        "status": "AWAITING_PAYMENT", "user": user.to_string(), "items": [{"sku": sku, "count": 4}], "id": id,
    }});
    gateway.get(&format!("/v1/orders/{id}")).await.expect_json(200, &shown);
    gateway.get(&format!("/v1/stocks/{sku}")).await.expect_json(200, &json!({"count": "6"}));

    gateway.post(&format!("/v1/orders/{id}/pay"), json!({})).await.expect_json(200, &json!({}));
    gateway.post(&format!("/v1/orders/{id}/pay"), json!({})).await.expect_json(200, &json!({}));
    shown["order"]["status"] = json!("PAYED");
    gateway.get(&format!("/v1/orders/{id}")).await.expect_json(200, &shown);
    shop.loms.stock_becomes(sku, (6, 0)).await;
    gateway.post(&format!("/v1/orders/{id}/cancel"), json!({})).await.expect_gateway_error(400, 9);
}

#[tokio::test]
async fn an_order_is_cancelled_and_its_items_come_back() {
    let shop = Shop::shared().await;
    let gateway = shop.loms.gateway();
    let sku = shop.loms.stock(10).await;
    let id = shop.loms.client().create(new_user(), &[(sku, 10)]).await.unwrap();
    gateway.get(&format!("/v1/stocks/{sku}")).await.expect_json(200, &json!({"count": "0"}));
    gateway.post_text(&format!("/v1/orders/{id}/cancel"), "").await.expect_json(200, &json!({}));
    shop.loms.stock_becomes(sku, (10, 0)).await;
    gateway.get(&format!("/v1/stocks/{sku}")).await.expect_json(200, &json!({"count": "10"}));
    gateway.post(&format!("/v1/orders/{id}/cancel"), json!({})).await.expect_json(200, &json!({}));
    gateway.post(&format!("/v1/orders/{id}/pay"), json!({})).await.expect_gateway_error(400, 9);
}

#[tokio::test]
async fn all_orders_are_listed_newest_id_first() {
    let shop = Shop::shared().await;
    let (gateway, loms) = (shop.loms.gateway(), shop.loms.client());
    let sku = shop.loms.stock(10).await;
    let mut ours = Vec::new();
    for shard in [0, 1, 0, 1] {
        ours.push(loms.create(new_user_on(shard), &[(sku, 1)]).await.unwrap().to_string());
    }
    let orders = eventually(SOON, "the list shows the latest orders", async || {
        let list = gateway.get("/v1/orders").await.expect(200).json();
        let orders = list["orders"].as_array().unwrap().clone();
        ours.iter().all(|id| orders.iter().any(|order| order["id"] == **id)).then_some(orders)
    })
    .await;
    let id = |order: &Value| order["id"].as_str().unwrap().parse::<i64>().unwrap();
    assert!(orders.is_sorted_by(|newer, older| id(newer) > id(older)));
    let newest = ours.last().unwrap();
    let listed = orders.iter().find(|order| order["id"] == **newest).unwrap();
    let shown = gateway.get(&format!("/v1/orders/{newest}")).await.json();
    assert_eq!(*listed, shown["order"]);
}

#[tokio::test]
async fn an_idempotency_key_makes_retries_safe_here_too() {
    let shop = Shop::shared().await;
    let gateway = shop.loms.gateway();
    let sku = shop.loms.stock(10).await;
    for key in ["idempotencyKey", "idempotency_key"] {
        let user = new_user();
        let order = |count: u32| json!({"order": {"user": user, "items": [{"sku": sku, "count": count}]}, key: "k"});
        let first = gateway.post("/v1/orders", order(1)).await.expect(200).json();
        gateway.post("/v1/orders", order(1)).await.expect_json(200, &first);
        gateway.post("/v1/orders", order(2)).await.expect_gateway_error(409, 6);
        assert_eq!(shop.loms.orders_of(user).await.len(), 1, "{key}");
    }
}
