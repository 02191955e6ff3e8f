//! The `OpenAPI` document, built from the handlers' annotations and these errors.

mod errors;

use utoipa::OpenApi;

use super::body::ErrorAnswer;
use super::handlers;

pub(super) use errors::{AddErrors, CheckoutErrors, EveryCall, PostErrors, ShowErrors};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "cart",
        description = "Carts of the shop. Errors are `{\"code\", \"message\"}`; `code` is stable. 429 and 503 carry \
                       `Retry-After`. A body is read as JSON whatever its Content-Type, up to 16 KiB. `Grpc-Timeout` (`250m`, `2S`) \
                       is the deadline of a request, unless the server's own is earlier.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        handlers::add_item,
        handlers::remove_item,
        handlers::clear_cart,
        handlers::show_cart,
        handlers::checkout,
    ),
    // utoipa does not find schemas that only error responses use.
    components(schemas(ErrorAnswer)),
    tags((name = "cart", description = "The cart of a user, and its checkout"))
)]
struct Document;

/// The document that `/openapi.json` serves.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_tells_its_answers_and_its_errors() {
        let document = serde_json::to_value(openapi()).unwrap();
        let routes = [
            (
                "/user/{user_id}/cart/{sku_id}",
                "post",
                "200 400 401 403 408 409 412 413 415 422 429 500 502 503 504",
            ),
            ("/user/{user_id}/cart/{sku_id}", "delete", "204 400 401 403 429 500 503 504"),
            ("/user/{user_id}/cart", "delete", "204 400 401 403 429 500 503 504"),
            ("/user/{user_id}/cart", "get", "200 400 401 403 404 429 500 502 503 504"),
            (
                "/cart/checkout",
                "post",
                "200 400 401 403 404 408 409 412 413 415 422 429 500 502 503 504",
            ),
        ];
        let paths = document["paths"].as_object().unwrap();
        let operations: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(operations, routes.len());
        for (path, method, statuses) in routes {
            let responses = paths[path][method]["responses"].as_object().unwrap();
            let known: Vec<&str> = responses.keys().map(String::as_str).collect();
            assert_eq!(known.join(" "), statuses, "{method} {path}");
            for (status, response) in
                responses.iter().filter(|(status, _)| !status.starts_with('2'))
            {
                let body = &response["content"]["application/json"];
                assert!(
                    body["schema"].is_object() && body["example"].is_object(),
                    "{path} {status}"
                );
                assert!(!response["description"].as_str().unwrap().is_empty(), "{path} {status}");
            }
        }
    }
}
