//! The errors of cart, grouped by the routes that return them.

use utoipa::IntoResponses;

use crate::api::body::ErrorAnswer;

/// Errors of every route.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the schemas are used")]
pub enum EveryCall {
    /// A value is malformed or out of range, or a line would hold more than 65,535 pieces.
    #[response(
        status = 400,
        example = json!({"code": "INVALID_ARGUMENT", "message": "count must be a whole number from 1 to 65535"})
    )]
    BadRequest(ErrorAnswer),
    /// Callers need a token, and this one has none or an invalid one.
    #[response(
        status = 401,
        headers(("WWW-Authenticate" = String, description = "`Bearer`.")),
        example = json!({"code": "UNAUTHENTICATED", "message": "a bearer token is required"})
    )]
    Unauthenticated(ErrorAnswer),
    /// The token is for another user.
    #[response(
        status = 403,
        example = json!({"code": "PERMISSION_DENIED", "message": "this token does not permit it"})
    )]
    PermissionDenied(ErrorAnswer),
    /// Too many requests at once. Nothing was done.
    #[response(
        status = 429,
        headers(("Retry-After" = u64, description = "Seconds.")),
        example = json!({"code": "OVERLOADED", "message": "too many requests at once"})
    )]
    Overloaded(ErrorAnswer),
    /// A bug in the service.
    #[response(status = 500, example = json!({"code": "INTERNAL", "message": "internal error"}))]
    Internal(ErrorAnswer),
    /// A dependency is down, or the service is starting or stopping. A change may still have been
    /// made. The order of a checkout may be created once the dependency is back; a retry returns
    /// it.
    #[response(
        status = 503,
        headers(("Retry-After" = u64, description = "Seconds.")),
        example = json!({"code": "UNAVAILABLE", "message": "the order service is unavailable"})
    )]
    Unavailable(ErrorAnswer),
    /// No answer in time. A change may or may not have been made. A retry of a checkout returns its
    /// order.
    #[response(
        status = 504,
        example = json!({"code": "DEADLINE_EXCEEDED", "message": "the order service did not answer in time"})
    )]
    DeadlineExceeded(ErrorAnswer),
}

/// Errors of requests with a body and an `Idempotency-Key`.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the schemas are used")]
pub enum PostErrors {
    /// Another request with this Idempotency-Key is in progress.
    #[response(
        status = 409,
        headers(("Retry-After" = u64, description = "Seconds.")),
        example = json!({"code": "CONFLICT", "message": "a request with this Idempotency-Key is in progress"})
    )]
    Conflict(ErrorAnswer),
    /// The body did not arrive in time.
    #[response(
        status = 408,
        example = json!({"code": "REQUEST_TIMEOUT", "message": "the body did not arrive in time"})
    )]
    RequestTimeout(ErrorAnswer),
    /// The body has a Content-Encoding.
    #[response(
        status = 415,
        example = json!({
            "code": "UNSUPPORTED_MEDIA_TYPE",
            "message": "the body is encoded with gzip; send it without Content-Encoding",
        })
    )]
    UnsupportedMediaType(ErrorAnswer),
    /// The body is larger than 16 KiB.
    #[response(
        status = 413,
        example = json!({"code": "PAYLOAD_TOO_LARGE", "message": "the body is larger than 16384 bytes"})
    )]
    PayloadTooLarge(ErrorAnswer),
    /// This Idempotency-Key was used for another request.
    #[response(
        status = 422,
        example = json!({
            "code": "IDEMPOTENCY_KEY_REUSED",
            "message": "this Idempotency-Key was used for another request",
        })
    )]
    KeyReused(ErrorAnswer),
}

/// Errors of adding to a cart.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the schemas are used")]
pub enum AddErrors {
    /// The product service does not know the SKU, or there is not enough stock.
    #[response(
        status = 412,
        example = json!({
            "code": "FAILED_PRECONDITION",
            "message": "SKU 1003: 220 available, but the cart would hold 221",
            "details": [{"sku_id": 1003, "wanted": 221, "available": 220}],
        })
    )]
    Refused(ErrorAnswer),
    /// A dependency returned an unusable answer.
    #[response(
        status = 502,
        example = json!({"code": "BAD_GATEWAY", "message": "the product service gave an unusable answer"})
    )]
    BadGateway(ErrorAnswer),
}

/// Errors of showing a cart.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the schemas are used")]
pub enum ShowErrors {
    /// The cart is empty.
    #[response(status = 404, example = json!({"code": "NOT_FOUND", "message": "the cart is empty"}))]
    EmptyCart(ErrorAnswer),
    /// The product service returned an unusable answer.
    #[response(
        status = 502,
        example = json!({"code": "BAD_GATEWAY", "message": "the product service gave an unusable answer"})
    )]
    BadGateway(ErrorAnswer),
}

/// Errors of a checkout.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "only the schemas are used")]
pub enum CheckoutErrors {
    /// The cart is empty.
    #[response(status = 404, example = json!({"code": "NOT_FOUND", "message": "the cart is empty"}))]
    EmptyCart(ErrorAnswer),
    /// Not enough stock, or the product service no longer knows a product. The cart is unchanged.
    #[response(
        status = 412,
        example = json!({
            "code": "FAILED_PRECONDITION",
            "message": "not enough stock for this order: sku 1002: 5 wanted, 3 left",
            "details": [{"sku_id": 1002, "wanted": 5, "available": 3}],
        })
    )]
    OutOfStock(ErrorAnswer),
    /// The order service returned an unusable answer.
    #[response(
        status = 502,
        example = json!({"code": "BAD_GATEWAY", "message": "the order service gave an unusable answer"})
    )]
    BadGateway(ErrorAnswer),
}
