//! The routes of the gateway: JSON and path in, JSON out. The id in the path takes precedence over
//! one in the body.

use std::str::FromStr;

use actix_web::http::header::{ContentType, HeaderValue};
use actix_web::web::{Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use prost::Name;
use service_kit::http::ApiError;
use service_kit::identity::Caller;

use crate::api::calls::{Calls, IDEMPOTENCY_KEY};
use crate::api::list::Encoded;
use crate::api::proto;
use crate::domain::InvalidArgument;

use super::{json, openapi as docs};

/// Creates an order
///
/// Reserves all of its items or none. Counts of the same SKU are summed. With an idempotency key,
/// retries are safe: a repeated request gets the answer of the first.
#[utoipa::path(
    post, path = "/v1/orders", tag = "orders", operation_id = "OrderCreate",
    params(docs::IdempotencyHeader),
    request_body(content = docs::OrderCreateRequest, description = "The order. The body may have at most 64 KiB."),
    responses(
        (status = 200, description = "The order awaits its payment.", body = docs::OrderCreateResponse),
        docs::CreateErrors, docs::EveryCall,
    )
)]
pub async fn order_create(
    calls: Data<Calls>,
    caller: Caller,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, ApiError> {
    answer(&calls.order_create(&caller, json::decode(&body)?, keys(&request)).await?)
}

/// Lists the orders of all users
///
/// Newest id first. Returns as many orders as requested and as fit into 3 MiB. May lag behind the
/// latest changes. `nextPageToken` is empty on the last page. Otherwise, send it as `pageToken` in
/// the same request to get the next page.
#[utoipa::path(
    get, path = "/v1/orders", tag = "orders", operation_id = "OrdersAll",
    params(docs::PageParameters),
    responses(
        (status = 200, description = "A page of orders.", body = docs::OrderAllResponse),
        docs::ListErrors, docs::EveryCall,
    )
)]
pub async fn orders_all(
    calls: Data<Calls>,
    caller: Caller,
    query: Query<Vec<(String, String)>>,
) -> Result<HttpResponse, ApiError> {
    let (mut size, mut token) = (None, None);
    for (name, value) in query.into_inner() {
        let (field, slot) = match name.as_str() {
            "page_size" | "pageSize" => ("page_size", &mut size),
            "page_token" | "pageToken" => ("page_token", &mut token),
            _ => continue,
        };
        if slot.replace(value).is_some() {
            return Err(InvalidArgument::new(field, "is given more than once").into());
        }
    }
    let page_size = size.map_or(Ok(0), |size| number("page_size", &size))?;
    let request = proto::OrdersAllRequest { page_size, page_token: token.unwrap_or_default() };
    let list = calls.orders_all(&caller, request, |order| {
        let order = json::encode(&order)?;
        Ok(Encoded { bytes: order.len() + 1, order })
    });
    Ok(written(json::encode_list(&list.await?)))
}

/// Reads one order
///
/// Reflects every change that was confirmed before.
#[utoipa::path(
    get, path = "/v1/orders/{order_id}", tag = "orders", operation_id = "OrderInfo",
    params(("order_id" = i64, Path, minimum = 1, example = 1000, description = "The order id.")),
    responses(
        (status = 200, description = "The order in its current state.", body = docs::OrderInfoResponse),
        docs::OrderErrors, docs::EveryCall,
    )
)]
pub async fn order_info(
    calls: Data<Calls>,
    caller: Caller,
    id: Path<String>,
) -> Result<HttpResponse, ApiError> {
    let order_id = number("order_id", &id)?;
    answer(&calls.order_info(&caller, proto::OrderInfoRequest { order_id }).await?)
}

/// Pays an order
///
/// The reserved items leave the stock. Paying a paid order again changes nothing.
#[utoipa::path(
    post, path = "/v1/orders/{order_id}/pay", tag = "orders", operation_id = "OrderPay",
    params(("order_id" = i64, Path, minimum = 1, example = 1000, description = "The order id.")),
    request_body(content = ref("#/components/schemas/Empty"), description = "Nothing, or an empty object."),
    responses(
        (status = 200, description = "The order is paid.", body = docs::Empty),
        docs::TransitionErrors, docs::EveryCall,
    )
)]
pub async fn order_pay(
    calls: Data<Calls>,
    caller: Caller,
    id: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, ApiError> {
    let mut request: proto::OrderPayRequest = json::decode(&body)?;
    request.order_id = number("order_id", &id)?;
    calls.order_pay(&caller, request).await?;
    answer(&())
}

/// Cancels an order
///
/// The reserved items can be sold again. Cancelling a cancelled order again changes nothing.
#[utoipa::path(
    post, path = "/v1/orders/{order_id}/cancel", tag = "orders", operation_id = "OrderCancel",
    params(("order_id" = i64, Path, minimum = 1, example = 1000, description = "The order id.")),
    request_body(content = ref("#/components/schemas/Empty"), description = "Nothing, or an empty object."),
    responses(
        (status = 200, description = "The order is cancelled.", body = docs::Empty),
        docs::TransitionErrors, docs::EveryCall,
    )
)]
pub async fn order_cancel(
    calls: Data<Calls>,
    caller: Caller,
    id: Path<String>,
    body: Bytes,
) -> Result<HttpResponse, ApiError> {
    let mut request: proto::OrderCancelRequest = json::decode(&body)?;
    request.order_id = number("order_id", &id)?;
    calls.order_cancel(&caller, request).await?;
    answer(&())
}

/// Returns how many pieces of a SKU can be sold
///
/// Reflects every change that was confirmed before.
#[utoipa::path(
    get, path = "/v1/stocks/{sku}", tag = "stock", operation_id = "StocksInfo",
    params(("sku" = u32, Path, minimum = 1, maximum = 4_294_967_295_u32, example = 1002, description = "The SKU.")),
    responses(
        (status = 200, description = "The pieces in stock that are not reserved.", body = docs::StocksInfoResponse),
        docs::StockErrors, docs::EveryCall,
    )
)]
pub async fn stocks_info(calls: Data<Calls>, sku: Path<String>) -> Result<HttpResponse, ApiError> {
    let sku = number("sku", &sku)?;
    answer(&calls.stocks_info(proto::StocksInfoRequest { sku }).await?)
}

/// Adds pieces to the stock of a SKU
///
/// Creates the SKU if it does not exist. A negative count removes pieces. Retries are safe: the key
/// never expires, and a repeated request gets the answer of the first.
#[utoipa::path(
    post, path = "/v1/stocks/{sku}/restock", tag = "stock", operation_id = "StocksRestock",
    params(
        ("sku" = u32, Path, minimum = 1, maximum = 4_294_967_295_u32, example = 1002, description = "The SKU."),
        docs::IdempotencyHeader,
    ),
    request_body(content = docs::StocksRestockRequest, description = "The number of pieces. The body may have at most 64 KiB."),
    responses(
        (status = 200, description = "The stock right after the restock.", body = docs::StocksRestockResponse),
        docs::RestockErrors, docs::EveryCall,
    )
)]
pub async fn stocks_restock(
    calls: Data<Calls>,
    caller: Caller,
    sku: Path<String>,
    request: HttpRequest,
    body: Bytes,
) -> Result<HttpResponse, ApiError> {
    let mut message: proto::StocksRestockRequest = json::decode(&body)?;
    message.sku = number("sku", &sku)?;
    answer(&calls.stocks_restock(&caller, message, keys(&request)).await?)
}

fn keys(request: &HttpRequest) -> impl Iterator<Item = &[u8]> {
    request.headers().get_all(IDEMPOTENCY_KEY).map(HeaderValue::as_bytes)
}

fn answer(message: &impl Name) -> Result<HttpResponse, ApiError> {
    Ok(written(json::encode(message)?))
}

fn written(body: Vec<u8>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(body)
}

/// Accepts only the canonical decimal form: no `+` and no leading zeros.
fn number<T: FromStr + ToString>(field: &'static str, text: &str) -> Result<T, InvalidArgument> {
    let bits = 8 * size_of::<T>();
    let number = text.parse().ok().filter(|number: &T| number.to_string() == text);
    number.ok_or_else(|| InvalidArgument::new(field, format!("must be a {bits}-bit integer")))
}

/// Returns the JSON Schema of the events in Kafka
///
/// The value of each record in the topic of order events matches it. It is also the schema
/// `OrderEvent` of this document.
#[utoipa::path(
    get, path = "/order-event.schema.json", tag = "events", operation_id = "OrderEventSchema",
    responses(
        (
            status = 200, description = "The schema.",
            content_type = "application/schema+json", body = serde_json::Value,
        ),
        docs::EveryCall,
    )
)]
pub async fn order_event_schema() -> HttpResponse {
    HttpResponse::Ok().content_type("application/schema+json").body(loms_proto::ORDER_EVENT_SCHEMA)
}
