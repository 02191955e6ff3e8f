//! What Prometheus makes of the shop: rules, alerts, dashboards, its own page.

mod dashboards;
mod page;
mod rules;

use std::time::Duration;

use serde_json::json;
use tonic::Code;

use crate::support::{Shop, new_user};

/// A customer who does everything, again and again, until nobody waits for this any more.
async fn customer(shop: &Shop, sku: u32) {
    loop {
        // One that is put off is not made up for: the next one is as good.
        let _ = purchase(shop, sku).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One purchase; `None` when some service was too busy for it.
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
