//! One function a route, each with its part of the `OpenAPI` document.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Map, Value};
use shared_actors::http::{ApiError, JsonBody};

use super::body::{AddItemRequest, CartAnswer, CheckoutAnswer, CheckoutRequest, Done, ErrorAnswer};
use crate::carts::Carts;
use crate::domain::{CartError, Quantity, Sku, UserId};
use crate::idempotency::IdempotencyKey;

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

type Answer = Result<HttpResponse, ApiError>;
/// A body that is read member by member, so that an error names the member.
type Body = JsonBody<Map<String, Value>>;

/// Adds pieces of a product to what the cart already holds of it.
#[utoipa::path(
    post, path = "/user/{user_id}/cart/{sku_id}", tag = "cart", operation_id = "addItem",
    params(
        ("user_id" = i64, Path, description = "The user", minimum = 1, example = 31337),
        ("sku_id" = u32, Path, description = "The product", minimum = 1, maximum = 4_294_967_295_u32, example = 1003),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe: the same key, route and body \
          give the first answer again", min_length = 1, max_length = 255, pattern = "^[ -~]+$"),
    ),
    request_body = AddItemRequest,
    responses(
        (status = 200, description = "Added, durably", body = Done),
        (status = 400, description = "Malformed, out of range, or the line would exceed 65535 pieces", body = ErrorAnswer),
        (status = 409, description = "A request with this Idempotency-Key is under way", body = ErrorAnswer,
            headers(("Retry-After" = u64, description = "Seconds")),
            example = json!({"code": "CONFLICT", "message": "a request with this Idempotency-Key is under way"})),
        (status = 412, description = "The product service does not know the SKU, or the stock is short", body = ErrorAnswer,
            example = json!({"code": "FAILED_PRECONDITION", "message": "of SKU 1003 220 are available, the cart would hold 221"})),
        (status = 413, description = "A body over 16 KiB", body = ErrorAnswer,
            example = json!({"code": "PAYLOAD_TOO_LARGE", "message": "the body is larger than 16384 bytes"})),
        (status = 422, description = "This Idempotency-Key was used for another request", body = ErrorAnswer,
            example = json!({"code": "IDEMPOTENCY_KEY_REUSED", "message": "this Idempotency-Key was used for another request"})),
        (status = 429, description = "Too many requests at once; nothing was done", body = ErrorAnswer,
            headers(("Retry-After" = u64, description = "Seconds")),
            example = json!({"code": "OVERLOADED", "message": "too many requests at once"})),
        (status = 502, description = "A dependency gave an unusable answer", body = ErrorAnswer,
            example = json!({"code": "BAD_GATEWAY", "message": "the product service gave an unusable answer"})),
        (status = 503, description = "A part is down", body = ErrorAnswer,
            headers(("Retry-After" = u64, description = "Seconds")),
            example = json!({"code": "UNAVAILABLE", "message": "the order service is unavailable"})),
        (status = 504, description = "No answer in time; it may have been added or not", body = ErrorAnswer,
            example = json!({"code": "DEADLINE_EXCEEDED", "message": "the order service did not answer in time"})),
    )
)]
pub async fn add_item(
    carts: Data<Carts>,
    path: Path<(String, String)>,
    request: HttpRequest,
    body: Body,
) -> Answer {
    let (user, sku) = (UserId::parse(&path.0)?, Sku::parse(&path.1)?);
    let count = Quantity::from_json(body.0.get("count"))?;
    carts.add(user, sku, count, key(&request)?).await?;
    Ok(HttpResponse::Ok().json(Done {}))
}

/// Removes a product from the cart, if it is there.
#[utoipa::path(
    delete, path = "/user/{user_id}/cart/{sku_id}", tag = "cart", operation_id = "removeItem",
    params(
        ("user_id" = i64, Path, description = "The user", minimum = 1, example = 31337),
        ("sku_id" = u32, Path, description = "The product", minimum = 1, maximum = 4_294_967_295_u32, example = 1003),
    ),
    responses(
        (status = 204, description = "It is not in the cart now"),
        (status = 400, description = "Malformed or out of range", body = ErrorAnswer),
        (status = 429, description = "Too many requests at once; nothing was done", body = ErrorAnswer,
            headers(("Retry-After" = u64, description = "Seconds")),
            example = json!({"code": "OVERLOADED", "message": "too many requests at once"})),
        (status = 503, description = "The database is down", body = ErrorAnswer,
            headers(("Retry-After" = u64, description = "Seconds")),
            example = json!({"code": "UNAVAILABLE", "message": "the cart store is unavailable"})),
        (status = 504, description = "No answer in time; it may have been removed or not", body = ErrorAnswer,
            example = json!({"code": "DEADLINE_EXCEEDED", "message": "the cart store did not answer in time"})),
    )
)]
pub async fn remove_item(carts: Data<Carts>, path: Path<(String, String)>) -> Answer {
    carts.remove(UserId::parse(&path.0)?, Sku::parse(&path.1)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Empties the cart.
#[utoipa::path(
    delete, path = "/user/{user_id}/cart", tag = "cart", operation_id = "clearCart",
    params(("user_id" = i64, Path, description = "The user", minimum = 1, example = 31337)),
    responses(
        (status = 204, description = "The cart is empty now"),
        (status = 400, description = "Malformed or out of range", body = ErrorAnswer),
        (status = 429, description = "Too many requests at once; nothing was done", body = ErrorAnswer,
            headers(("Retry-After" = u64, description = "Seconds")),
            example = json!({"code": "OVERLOADED", "message": "too many requests at once"})),
        (status = 503, description = "The database is down", body = ErrorAnswer,
            headers(("Retry-After" = u64, description = "Seconds")),
            example = json!({"code": "UNAVAILABLE", "message": "the cart store is unavailable"})),
        (status = 504, description = "No answer in time; it may have been emptied or not", body = ErrorAnswer,
            example = json!({"code": "DEADLINE_EXCEEDED", "message": "the cart store did not answer in time"})),
    )
)]
pub async fn clear_cart(carts: Data<Carts>, path: Path<String>) -> Answer {
    carts.clear(UserId::parse(&path)?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Shows the cart with names and prices.
#[utoipa::path(
    get, path = "/user/{user_id}/cart", tag = "cart", operation_id = "showCart",
    params(("user_id" = i64, Path, description = "The user", minimum = 1, example = 31337)),
    responses(
        (status = 200, description = "The lines, by SKU", body = CartAnswer),
        (status = 400, description = "Malformed or out of range", body = ErrorAnswer),
        (status = 404, description = "The cart is empty", body = ErrorAnswer,
            example = json!({"code": "NOT_FOUND", "message": "the cart is empty"})),
        (status = 429, description = "Too many requests at once", body = ErrorAnswer,
            headers(("Retry-After" = u64, description = "Seconds")),
            example = json!({"code": "OVERLOADED", "message": "too many requests at once"})),
        (status = 502, description = "The product service gave an unusable answer, or has forgotten a product of this cart",
            body = ErrorAnswer,
            example = json!({"code": "BAD_GATEWAY", "message": "the product service gave an unusable answer"})),
        (status = 503, description = "A part is down", body = ErrorAnswer,
            headers(("Retry-After" = u64, description = "Seconds")),
            example = json!({"code": "UNAVAILABLE", "message": "the product service is unavailable"})),
        (status = 504, description = "No answer in time", body = ErrorAnswer,
            example = json!({"code": "DEADLINE_EXCEEDED", "message": "the product service did not answer in time"})),
    )
)]
pub async fn show_cart(carts: Data<Carts>, path: Path<String>) -> Answer {
    let cart = carts.show(UserId::parse(&path)?).await?;
    Ok(HttpResponse::Ok().json(CartAnswer::from(cart)))
}

/// Orders what is in the cart. Exactly what was ordered leaves it.
#[utoipa::path(
    post, path = "/cart/checkout", tag = "cart", operation_id = "checkout",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe: the same key and body give the \
          first answer again", min_length = 1, max_length = 255, pattern = "^[ -~]+$"),
    ),
    request_body = CheckoutRequest,
    responses(
        (status = 200, description = "The order", body = CheckoutAnswer),
        (status = 400, description = "Malformed or out of range", body = ErrorAnswer),
        (status = 404, description = "The cart is empty", body = ErrorAnswer,
            example = json!({"code": "NOT_FOUND", "message": "the cart is empty"})),
        (status = 409, description = "A request with this Idempotency-Key is under way", body = ErrorAnswer,
            headers(("Retry-After" = u64, description = "Seconds")),
            example = json!({"code": "CONFLICT", "message": "a request with this Idempotency-Key is under way"})),
        (status = 412, description = "Not enough stock; the cart is as it was", body = ErrorAnswer,
            example = json!({"code": "FAILED_PRECONDITION", "message": "the stock does not suffice for this order"})),
        (status = 413, description = "A body over 16 KiB", body = ErrorAnswer,
            example = json!({"code": "PAYLOAD_TOO_LARGE", "message": "the body is larger than 16384 bytes"})),
        (status = 422, description = "This Idempotency-Key was used for another request", body = ErrorAnswer,
            example = json!({"code": "IDEMPOTENCY_KEY_REUSED", "message": "this Idempotency-Key was used for another request"})),
        (status = 429, description = "Too many requests at once; nothing was done", body = ErrorAnswer,
            headers(("Retry-After" = u64, description = "Seconds")),
            example = json!({"code": "OVERLOADED", "message": "too many requests at once"})),
        (status = 502, description = "The order service gave an unusable answer", body = ErrorAnswer,
            example = json!({"code": "BAD_GATEWAY", "message": "the order service gave an unusable answer"})),
        (status = 503, description = "A part is down. The order may be made once it is back: asking again answers with it",
            body = ErrorAnswer, headers(("Retry-After" = u64, description = "Seconds")),
            example = json!({"code": "UNAVAILABLE", "message": "the order service is unavailable"})),
        (status = 504, description = "No answer in time. The order may be made: asking again answers with it",
            body = ErrorAnswer,
            example = json!({"code": "DEADLINE_EXCEEDED", "message": "the order service did not answer in time"})),
    )
)]
pub async fn checkout(carts: Data<Carts>, request: HttpRequest, body: Body) -> Answer {
    let user = UserId::from_json(body.0.get("user"))?;
    let order = carts.checkout(user, key(&request)?).await?;
    Ok(HttpResponse::Ok().json(CheckoutAnswer::from(order)))
}

fn key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, CartError> {
    let mut values = request.headers().get_all(IDEMPOTENCY_KEY);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => IdempotencyKey::parse(value.as_bytes()).map(Some),
        (Some(_), Some(_)) => Err(CartError::invalid(IDEMPOTENCY_KEY, "must be given once")),
    }
}
