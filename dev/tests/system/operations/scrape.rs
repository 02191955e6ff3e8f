//! The metric families that dashboards rely on.

use serde_json::json;

use crate::support::{Rest, Samples, Shop, new_user};

async fn samples(base_url: String) -> Samples {
    Samples::parse(&Rest::new(base_url).get("/metrics").await.expect(200).body)
}

/// Makes every call once, and causes some errors.
pub async fn traffic(shop: &Shop) {
    let (cart, gateway, loms, user) =
        (shop.cart.client(), shop.loms.gateway(), shop.loms.client(), new_user());
    let sku = shop.loms.stock_product(10).await;
    cart.add(user, sku, 1).await.expect(200);
    cart.add(new_user(), sku, 1).await.expect(200);
    cart.show(user).await.expect(200);
    cart.remove(user, 1).await.expect(204);
    let order = cart.order(user).await;
    cart.show(user).await.expect(404);
    cart.0.get("/user/987654321/nothing").await.expect(404);
    gateway.get(&format!("/v1/orders/{order}")).await.expect(200);
    gateway.get(&format!("/v1/stocks/{sku}")).await.expect(200);
    gateway.get("/v1/nothing/987654321").await.expect(404);
    gateway.post(&format!("/v1/orders/{order}/pay"), json!({})).await.expect(200);
    loms.info(order).await.unwrap();
    loms.info(order + 1000 * 1000 * 1000).await.unwrap_err();
    shop.notifier.tells(order, "PAYED").await;
}

#[tokio::test]
async fn the_families_of_the_contract_are_there_with_their_labels() {
    let shop = Shop::shared().await;
    traffic(&shop).await;
    let requests = [
        ("api_requests_total", ["method", "url", "status"].as_slice()),
        ("api_request_duration_seconds_count", &["method", "url", "status"]),
    ];
    let dependencies = [
        ("external_requests_total", ["url", "status"].as_slice()),
        ("external_request_duration_seconds_count", &["url", "status"]),
        ("cache_hits_total", &[]),
        ("cache_misses_total", &[]),
    ];
    let databases = [
        ("db_requests_total", ["category"].as_slice()),
        ("db_request_duration_seconds_count", &["category", "status"]),
        ("actor_messages_total", &["actor", "message", "outcome"]),
    ];
    let (cart, loms) =
        (samples(shop.cart.process.base_url()).await, samples(shop.loms.process.base_url()).await);
    let notifier = samples(shop.notifier.process.base_url()).await;
    for (name, labels) in requests.into_iter().chain(dependencies).chain(databases) {
        cart.require("cart", name, labels);
    }
    for (name, labels) in requests.into_iter().chain(databases) {
        loms.require("loms", name, labels);
    }
    for (name, labels) in databases {
        notifier.require("notifier", name, labels);
    }
}

#[tokio::test]
async fn calls_are_counted_by_route_pattern_and_never_by_raw_path() {
    let shop = Shop::shared().await;
    traffic(&shop).await;
    let cart = samples(shop.cart.process.base_url()).await;
    let loms = samples(shop.loms.process.base_url()).await;
    let cart_routes = [
        ("POST", "/user/{user_id}/cart/{sku_id}", "200"),
        ("DELETE", "/user/{user_id}/cart/{sku_id}", "204"),
        ("GET", "/user/{user_id}/cart", "200"),
        ("GET", "/user/{user_id}/cart", "404"),
        ("POST", "/cart/checkout", "200"),
    ];
    let gateway_routes = [
        ("GET", "/v1/orders/{order_id}", "200"),
        ("GET", "/v1/stocks/{sku}", "200"),
        ("POST", "/v1/orders/{order_id}/pay", "200"),
    ];
    let counted = cart_routes
        .map(|row| (&cart, row))
        .into_iter()
        .chain(gateway_routes.map(|row| (&loms, row)));
    for (samples, (method, url, status)) in counted {
        let labels = [("method", method), ("url", url), ("status", status)];
        assert!(samples.sum("api_requests_total", &labels) >= 1.0, "no {method} {url} {status}");
        assert!(
            samples.sum("api_request_duration_seconds_count", &labels) >= 1.0,
            "no {method} {url} {status}"
        );
    }
    for method in ["OrderCreate", "OrderInfo", "StocksInfo"] {
        let url = format!("/Loms/{method}");
        assert!(loms.sum("api_requests_total", &[("url", &url)]) >= 1.0, "no {url}");
    }
    for sample in cart.of("api_requests_total").chain(loms.of("api_requests_total")) {
        let url = sample.labels["url"].replace("/v1", "");
        assert!(!url.contains(|letter: char| letter.is_ascii_digit()), "{url} is no route pattern");
    }
    for sample in cart.of("external_requests_total") {
        assert!(
            !sample.labels["url"].contains("127.0.0.1"),
            "{sample:?} is not the same on every machine"
        );
    }
}
