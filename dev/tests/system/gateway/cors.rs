//! Scripts of the Swagger UI's origin may call the gateway; others may not.

use reqwest::Method;

use crate::support::{Answer, Shop};

const ALLOWED: [&str; 2] = ["http://localhost:8089", "http://127.0.0.1:8089"];
const FOREIGN: [&str; 5] =
    ["http://localhost:8088", "https://localhost:8089", "http://evil.example", "http://localhost", "null"];

#[tokio::test]
async fn the_allowed_origins_read_answers_and_errors() {
    let shop = Shop::shared().await;
    for origin in ALLOWED {
        for path in ["/v1/stocks/1002", "/v1/stocks/0", "/v1/orders/999"] {
            let answer = call(&shop, Method::GET, path, origin).await;
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{}", answer.asked);
        }
    }
}

#[tokio::test]
async fn the_allowed_origins_may_post_json() {
    let shop = Shop::shared().await;
    for origin in ALLOWED {
        let request = shop.loms.gateway().request(Method::OPTIONS, "/v1/orders");
        let request = request
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        let answer = Answer::of(request).await;
        assert!([200, 204].contains(&answer.status), "{origin}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert!(
            answer.header("access-control-allow-methods").unwrap_or_default().contains("POST"),
            "{answer:?}"
        );
        let headers = answer.header("access-control-allow-headers").unwrap_or_default().to_lowercase();
        assert!(headers.contains("content-type"), "{answer:?}");
    }
}

#[tokio::test]
async fn no_other_origin_is_named() {
    let shop = Shop::shared().await;
    for origin in FOREIGN {
        for method in [Method::GET, Method::OPTIONS] {
            let answer = call(&shop, method, "/v1/stocks/1002", origin).await;
            assert_eq!(answer.header("access-control-allow-origin"), None, "{} from {origin}", answer.asked);
        }
    }
}

async fn call(shop: &Shop, method: Method, path: &str, origin: &str) -> Answer {
    let request = shop.loms.gateway().request(method, path).header("origin", origin);
    Answer::of(request.header("access-control-request-method", "GET")).await
}
