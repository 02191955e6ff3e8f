//! The shop in Prometheus: rules, alerts, dashboards, and the page of Prometheus itself.

mod dashboards;
mod page;
mod rules;

use std::time::Duration;

use serde_json::json;
use tonic::Code;

use crate::support::{Shop, new_user};

/// A customer that makes purchases, with every type of call, until the future is dropped.
async fn customer(shop: &Shop, sku: u32) {
    loop {
        // A purchase that a busy service refuses is not retried: the next one serves as well.
        let _ = purchase(shop, sku).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Makes one purchase. `None` if some service was too busy.
async fn purchase(shop: &Shop, sku: u32) -> Option<()> {
    let (cart, gateway) = (shop.cart.client(), shop.loms.gateway());
    let user = new_user();
    cart.add(user, sku, 1).await.expect_unless_busy(200)?;
    cart.show(user).await.expect_unless_busy(200)?;
    let checkout = cart.checkout(user).await.expect_unless_busy(200)?;
    cart.show(user).await.expect_unless_busy(404)?;
    let order = checkout.json()["orderID"].as_i64().expect("orderID is a number");
    if let Err(refusal) = shop.loms.client().info(order).await {
        assert_eq!(refusal.code(), Code::Unavailable, "{refusal}");
        return None;
    }
    let end = if order % 2 == 0 { "pay" } else { "cancel" };
    gateway.post(&format!("/v1/orders/{order}/{end}"), json!({})).await.expect_unless_busy(200)?;
    gateway.get("/v1/orders").await.expect_unless_busy(200)?;
    gateway.get(&format!("/v1/stocks/{sku}")).await.expect_unless_busy(200)?;
    Some(())
}
