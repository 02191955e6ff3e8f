//! Scripts from the Swagger UI's origin may call every service. Scripts from other origins may not.

use reqwest::Method;

use crate::support::{Answer, Rest, Shop};

const ALLOWED: [&str; 2] = ["http://localhost:8089", "http://127.0.0.1:8089"];
const FOREIGN: [&str; 5] = [
    "http://localhost:8088",
    "https://localhost:8089",
    "http://evil.example",
    "http://localhost",
    "null",
];

#[tokio::test]
async fn the_allowed_origins_read_answers_and_errors() {
    let shop = Shop::shared().await;
    let services = [
        (shop.loms.gateway(), ["/v1/stocks/1002", "/v1/stocks/0", "/openapi.json"]),
        (shop.cart.client().0, ["/user/0/cart", "/nothing", "/openapi.json"]),
        (Rest::new(shop.notifier.process.base_url()), ["/readyz", "/nothing", "/openapi.json"]),
    ];
    for origin in ALLOWED {
        for (service, path) in
            services.iter().flat_map(|(service, paths)| paths.map(|path| (service, path)))
        {
            let answer = call(service, Method::GET, path, origin).await;
            assert_eq!(
                answer.header("access-control-allow-origin"),
                Some(origin),
                "{}",
                answer.asked
            );
        }
    }
}

#[tokio::test]
async fn the_allowed_origins_may_ask_for_every_call() {
    let shop = Shop::shared().await;
    let calls = [
        (shop.loms.gateway(), "/v1/orders", "POST", "content-type,idempotency-key"),
        (shop.cart.client().0, "/cart/checkout", "POST", "content-type,idempotency-key"),
        (shop.cart.client().0, "/user/1/cart", "DELETE", "accept"),
    ];
    for (origin, (service, path, method, headers)) in
        ALLOWED.iter().flat_map(|origin| calls.iter().map(move |call| (*origin, call)))
    {
        let request = service.request(Method::OPTIONS, path);
        let request = request
            .header("origin", origin)
            .header("access-control-request-method", *method)
            .header("access-control-request-headers", *headers);
        let answer = Answer::of(request).await;
        assert!([200, 204].contains(&answer.status), "{origin}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        let methods = answer.header("access-control-allow-methods").unwrap_or_default();
        assert!(methods.contains(method), "{answer:?}");
        let allowed =
            answer.header("access-control-allow-headers").unwrap_or_default().to_lowercase();
        assert!(headers.split(',').all(|header| allowed.contains(header)), "{answer:?}");
    }
}

#[tokio::test]
async fn no_other_origin_is_named() {
    let shop = Shop::shared().await;
    for origin in FOREIGN {
        for method in [Method::GET, Method::OPTIONS] {
            for (service, path) in
                [(shop.loms.gateway(), "/v1/stocks/1002"), (shop.cart.client().0, "/user/1/cart")]
            {
                let answer = call(&service, method.clone(), path, origin).await;
                assert_eq!(
                    answer.header("access-control-allow-origin"),
                    None,
                    "{} from {origin}",
                    answer.asked
                );
            }
        }
    }
}

async fn call(service: &Rest, method: Method, path: &str, origin: &str) -> Answer {
    let request = service.request(method, path).header("origin", origin);
    Answer::of(request.header("access-control-request-method", "GET")).await
}
