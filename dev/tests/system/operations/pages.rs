//! The pages that every HTTP port serves.

use serde_json::Value;

use crate::support::{Rest, Shop};

#[tokio::test]
async fn every_service_serves_health_metrics_and_its_description() {
    let shop = Shop::shared().await;
    let services = [
        (
            "cart",
            &shop.cart.process,
            ["/cart/checkout", "/user/{user_id}/cart/{sku_id}"].as_slice(),
        ),
        (
            "loms",
            &shop.loms.process,
            &["/v1/orders", "/v1/orders/{order_id}/pay", "/v1/stocks/{sku}"],
        ),
        ("notifier", &shop.notifier.process, &[]),
    ];
    for (name, process, routes) in services {
        let rest = Rest::new(process.base_url());
        rest.get("/livez").await.expect(200);
        let ready = rest.get("/readyz").await.expect(200).json();
        assert_eq!(ready["ready"], true, "{name}: {ready}");
        let metrics = rest.get("/metrics").await.expect(200);
        assert!(metrics.header("content-type").unwrap().starts_with("text/plain"), "{name}");
        let description = rest.get("/openapi.json").await.expect(200).json();
        assert!(
            description["openapi"].as_str().is_some_and(|version| version.starts_with("3.")),
            "{name}"
        );
        for reference in references(&description) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(description.pointer(pointer).is_some(), "{name}: nothing is at {reference}");
        }
        for route in ["/livez", "/readyz", "/metrics"].iter().chain(routes) {
            let known = description["paths"].as_object().unwrap().keys().collect::<Vec<_>>();
            assert!(
                !matches!(description["paths"][*route], Value::Null),
                "{name}: no {route} among {known:?}"
            );
        }
        let page = rest.get("/swagger-ui/").await.expect(200);
        assert!(page.header("content-type").unwrap().starts_with("text/html"), "{name}");
        assert!(page.body.contains("swagger"), "{name}");
    }
}

/// The references within a document, such as `#/components/schemas/Error`.
fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn readiness_names_what_a_service_stands_on() {
    let shop = Shop::shared().await;
    let table = [
        ("cart", &shop.cart.process, ["postgres", "redis"].as_slice()),
        ("loms", &shop.loms.process, &["postgres", "kafka"]),
        ("notifier", &shop.notifier.process, &["postgres", "kafka"]),
    ];
    for (name, process, parts) in table {
        let report =
            Rest::new(process.base_url()).get("/readyz").await.expect(200).body.to_lowercase();
        for part in parts {
            assert!(report.contains(part), "{name} does not name {part}: {report}");
        }
    }
}
