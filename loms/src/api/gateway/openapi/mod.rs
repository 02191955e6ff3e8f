//! The gateway's `OpenAPI` document, generated from the annotations of the handlers and these
//! schemas.

mod errors;
mod schemas;

use utoipa::OpenApi;

use super::handlers;

pub(super) use errors::{
    CreateErrors, EveryCall, ListErrors, OrderErrors, RestockErrors, StockErrors, TransitionErrors,
};
pub(super) use schemas::{
    Empty, IdempotencyHeader, OrderAllResponse, OrderCreateRequest, OrderCreateResponse,
    OrderInfoResponse, PageParameters, StocksInfoResponse, StocksRestockRequest,
    StocksRestockResponse,
};

/// The document that the HTTP port serves.
///
/// # Panics
/// Never: the schema of events is a constant.
#[expect(clippy::expect_used, reason = "a test reads the same constant")]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    let event = serde_json::from_str(loms_proto::ORDER_EVENT_SCHEMA).expect("a JSON Schema");
    let components = document.components.get_or_insert_default();
    components.schemas.insert("OrderEvent".to_owned(), event);
    document
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "loms",
        description = "Orders and stock of the shop: the gRPC service `Loms` as JSON.\n\nMembers are written in \
            lowerCamelCase and also read in snake_case; unknown ones are ignored. 64-bit integers are written as \
            strings and read either way. A body is read as JSON whatever its Content-Type. A wrong method answers 405 \
            and an unknown route 404, in the shape of every other error. `Grpc-Timeout` (`250m`, `2S`) is the deadline of a \
            call, unless the server's own is earlier.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    // utoipa does not find schemas that are used only by error responses.
    components(schemas(errors::Error)),
    tags(
        (name = "orders", description = "From creation to payment or cancellation."),
        (name = "stock", description = "The pieces that can be sold."),
        (name = "events", description = "The events in Kafka: one per change of an order's state."),
    ),
    paths(
        handlers::order_create,
        handlers::orders_all,
        handlers::order_info,
        handlers::order_pay,
        handlers::order_cancel,
        handlers::stocks_info,
        handlers::stocks_restock,
        handlers::order_event_schema,
    )
)]
struct Document;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_contains_the_schema_of_events() {
        let document = serde_json::to_value(openapi()).unwrap();
        let published: serde_json::Value =
            serde_json::from_str(loms_proto::ORDER_EVENT_SCHEMA).unwrap();
        let described = &document["components"]["schemas"]["OrderEvent"];
        for member in ["type", "required", "properties", "description"] {
            assert_eq!(described[member], published[member], "{member}");
        }
    }

    #[test]
    fn every_route_tells_its_answers_and_its_errors() {
        let document = serde_json::to_value(openapi()).unwrap();
        let routes = [
            ("/v1/orders", "post", "200 400 401 403 408 409 413 415 429 500 503 504"),
            ("/v1/orders", "get", "200 400 401 403 429 500 503 504"),
            ("/v1/orders/{order_id}", "get", "200 400 401 403 404 429 500 503 504"),
            (
                "/v1/orders/{order_id}/pay",
                "post",
                "200 400 401 403 404 408 413 415 429 500 503 504",
            ),
            (
                "/v1/orders/{order_id}/cancel",
                "post",
                "200 400 401 403 404 408 413 415 429 500 503 504",
            ),
            ("/v1/stocks/{sku}", "get", "200 400 401 403 404 429 500 503 504"),
            (
                "/v1/stocks/{sku}/restock",
                "post",
                "200 400 401 403 404 408 409 413 415 429 500 503 504",
            ),
        ];
        let mut paths = document["paths"].as_object().unwrap().clone();
        assert!(paths.remove("/order-event.schema.json").is_some());
        let operations: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(operations, routes.len());
        for (path, method, statuses) in routes {
            let responses = paths[path][method]["responses"].as_object().unwrap();
            assert_eq!(
                responses.keys().map(String::as_str).collect::<Vec<_>>().join(" "),
                statuses,
                "{method} {path}"
            );
            for (status, response) in responses {
                let body = &response["content"]["application/json"];
                assert!(!response["description"].as_str().unwrap().is_empty(), "{path} {status}");
                assert!(body["schema"].is_object(), "{path} {status}");
                assert!(
                    status == "200" || body["example"].is_object() || body["examples"].is_object(),
                    "{path} {status}"
                );
            }
        }
    }
}
