//! What Prometheus makes of the shop: rules, alerts, dashboards, its own page.

mod dashboards;
mod page;
mod rules;

use std::time::Duration;

use serde_json::json;

use crate::support::{Shop, new_user};

/// A customer who does everything, again and again, until nobody waits for this any more.
async fn customer(shop: &Shop, sku: u32) {
    let (cart, gateway, loms) = (shop.cart.client(), shop.loms.gateway(), shop.loms.client());
    loop {
        let user = new_user();
        cart.add(user, sku, 1).await.expect(200);
        cart.show(user).await.expect(200);
        let order = cart.order(user).await;
        cart.show(user).await.expect(404);
        loms.info(order).await.unwrap();
        let end = if order % 2 == 0 { "pay" } else { "cancel" };
        gateway.post(&format!("/v1/orders/{order}/{end}"), json!({})).await.expect(200);
        gateway.get("/v1/orders").await.expect(200);
        gateway.get(&format!("/v1/stocks/{sku}")).await.expect(200);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
