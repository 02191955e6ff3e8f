//! `StocksRestock` over gRPC and REST: running the shop needs no manual SQL.

use reqwest::Method;
use serde_json::json;
use tonic::Code;

use crate::support::{Answer, Rest, Shop, field_at_fault, new_sku, new_user};

#[tokio::test]
async fn a_new_sku_is_restocked_sold_and_restocked_again() {
    let shop = Shop::shared().await;
    let (loms, sku) = (shop.loms.client(), new_sku());
    assert_eq!(loms.available(sku).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(loms.restock(sku, 10, &format!("{sku} first")).await.unwrap(), (10, 0));
    let order = loms.create(new_user(), &[(sku, 4)]).await.unwrap();
    assert_eq!(loms.restock(sku, 5, &format!("{sku} second")).await.unwrap(), (15, 4));
    loms.pay(order).await.unwrap();
    shop.loms.stock_becomes(sku, (11, 0)).await;
    assert_eq!(loms.available(sku).await.unwrap(), 11);
}

#[tokio::test]
async fn a_key_restocks_once_and_stands_for_one_restock() {
    let shop = Shop::shared().await;
    let (loms, sku) = (shop.loms.client(), new_sku());
    let key = format!("{sku} delivery");
    let tries = (0..100).map(|_| loms.restock(sku, 10, &key));
    for answer in futures::future::join_all(tries).await {
        assert_eq!(answer.unwrap(), (10, 0));
    }
    assert_eq!(shop.loms.stock_row(sku).await, (10, 0));
    let beside = loms.clone().with("idempotency-key", &key);
    assert_eq!(beside.restock(sku, 10, "").await.unwrap(), (10, 0));
    for (sku, count) in [(sku, 11), (new_sku(), 10)] {
        assert_eq!(loms.restock(sku, count, &key).await.unwrap_err().code(), Code::AlreadyExists);
    }
    let refused = beside.restock(sku, 10, "another").await.unwrap_err();
    assert_eq!(field_at_fault(&refused), "idempotency_key");
}

#[tokio::test]
async fn a_restock_that_breaks_a_rule_names_the_field() {
    let shop = Shop::shared().await;
    let (loms, sku) = (shop.loms.client(), new_sku());
    for (field, refused) in [
        ("sku", loms.restock(0, 1, "k").await),
        ("count", loms.restock(sku, 0, "k").await),
        ("idempotency_key", loms.restock(sku, 1, "").await),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.code(), field_at_fault(&refused).as_str()),
            (Code::InvalidArgument, field)
        );
    }
    assert_eq!(loms.restock(sku, -1, &format!("{sku}")).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn the_gateway_restocks_too_and_never_below_what_is_reserved() {
    let shop = Shop::shared().await;
    let (gateway, sku) = (shop.loms.gateway(), new_sku());
    let path = format!("/v1/stocks/{sku}/restock");
    let level = json!({"total": "10", "reserved": "0"});
    for _ in 0..2 {
        let restock = json!({"count": "10", "idempotencyKey": format!("{sku} first")});
        gateway.post(&path, restock).await.expect_json(200, &level);
        let sent = with_key(&gateway, &path, &format!("{sku} first"), 10).await;
        sent.expect_json(200, &level);
    }
    shop.loms.client().create(new_user(), &[(sku, 4)]).await.unwrap();
    let down = async |count: i64| with_key(&gateway, &path, &format!("{sku} down"), count).await;
    down(-7).await.expect_gateway_error(400, 9);
    down(-6).await.expect_json(200, &json!({"total": "4", "reserved": "4"}));
    down(-5).await.expect_gateway_error(409, 6);
    gateway.post(&path, json!({"count": 1})).await.expect_gateway_error(400, 3);
    gateway.get(&format!("/v1/stocks/{sku}")).await.expect_json(200, &json!({"count": "0"}));
}

async fn with_key(gateway: &Rest, path: &str, key: &str, count: i64) -> Answer {
    let request = gateway.request(Method::POST, path).header("Idempotency-Key", key);
    Answer::of(request.json(&json!({"count": count}))).await
}
