//! The errors of the gateway, grouped by the routes that return them.

#![expect(dead_code, reason = "only the schemas are used")]

use utoipa::{IntoResponses, ToSchema};

/// Every error has this shape.
#[derive(ToSchema)]
pub struct Error {
    /// The gRPC status code.
    #[schema(minimum = 1, maximum = 16, example = 5)]
    code: i32,
    /// A message for people. It names the field at fault.
    #[schema(example = "there is no order 1000")]
    message: String,
    /// If a create failed for lack of stock: a `google.rpc.PreconditionFailure` with the SKUs that
    /// are short, and a `google.rpc.ErrorInfo` with the numbers. Empty otherwise.
    #[schema(value_type = Vec<Object>, max_items = 2)]
    details: (),
}

/// The errors that every call may return.
#[derive(IntoResponses)]
pub enum EveryCall {
    /// Callers need a token, and this one has none or an invalid one.
    #[response(
        status = 401,
        headers(("WWW-Authenticate" = String, description = "`Bearer`.")),
        example = json!({"code": 16, "message": "a bearer token is required", "details": []})
    )]
    Unauthenticated(Error),
    /// The token does not permit the call.
    #[response(
        status = 403,
        example = json!({"code": 7, "message": "this token does not permit it", "details": []})
    )]
    PermissionDenied(Error),
    /// The service is overloaded; nothing happened. `Retry-After` says when to retry.
    #[response(
        status = 429,
        headers(("Retry-After" = u32, description = "Seconds.")),
        example = json!({"code": 8, "message": "too many requests are waiting", "details": []})
    )]
    Overloaded(Error),
    /// An internal error of the service.
    #[response(status = 500, example = json!({"code": 13, "message": "internal error", "details": []}))]
    Internal(Error),
    /// A database is down, or the service is starting or stopping. `Retry-After` says when to
    /// retry.
    #[response(
        status = 503,
        headers(("Retry-After" = u32, description = "Seconds.")),
        example = json!({"code": 14, "message": "not available at the moment, try again", "details": []})
    )]
    Unavailable(Error),
    /// The deadline passed before the answer. The request may have taken effect.
    #[response(
        status = 504,
        example = json!({"code": 4, "message": "the deadline passed before the answer", "details": []})
    )]
    DeadlineExceeded(Error),
}

/// The errors that a create may return.
#[derive(IntoResponses)]
pub enum CreateErrors {
    /// The request breaks a rule (code 3), or a SKU is unknown or short of stock (code 9). With
    /// code 9, the order is kept and can be read as `FAILED`.
    #[response(
        status = 400,
        examples(
            ("a rule" = (value = json!({"code": 3, "message": "user: must be a positive number", "details": []}))),
            ("the stock" = (value = json!({
                "code": 9,
                "message": "order 1000 failed: sku 1002: 5 wanted, 3 left; sku 7 is unknown",
                "details": [{
                    "@type": "type.googleapis.com/google.rpc.PreconditionFailure",
                    "violations": [
                        {"type": "STOCK", "subject": "sku/1002", "description": "sku 1002: 5 wanted, 3 left"},
                        {"type": "STOCK", "subject": "sku/7", "description": "sku 7 is unknown"},
                    ],
                }],
            }))),
        )
    )]
    BadRequest(Error),
    /// The idempotency key belongs to an order with other items.
    #[response(
        status = 409,
        example = json!({
            "code": 6,
            "message": "the idempotency key was used for order 1000, which has different items",
            "details": [],
        })
    )]
    KeyReused(Error),
    /// The body did not arrive in time.
    #[response(
        status = 408,
        example = json!({"code": 4, "message": "the body did not arrive in time", "details": []})
    )]
    RequestTimeout(Error),
    /// The body has a Content-Encoding.
    #[response(
        status = 415,
        example = json!({
            "code": 3,
            "message": "the body is encoded with gzip; send it without Content-Encoding",
            "details": [],
        })
    )]
    UnsupportedMediaType(Error),
    /// The body is larger than 64 KiB.
    #[response(
        status = 413,
        example = json!({"code": 8, "message": "the body is larger than 65536 bytes", "details": []})
    )]
    PayloadTooLarge(Error),
}

/// The errors that a list may return.
#[derive(IntoResponses)]
pub enum ListErrors {
    /// A parameter breaks a rule.
    #[response(
        status = 400,
        example = json!({"code": 3, "message": "page_size: must be a 32-bit integer", "details": []})
    )]
    BadRequest(Error),
}

/// The errors that a read of one order may return.
#[derive(IntoResponses)]
pub enum OrderErrors {
    /// The id breaks a rule.
    #[response(
        status = 400,
        example = json!({"code": 3, "message": "order_id: must be a positive number", "details": []})
    )]
    BadRequest(Error),
    /// There is no such order.
    #[response(status = 404, example = json!({"code": 5, "message": "there is no order 1000", "details": []}))]
    NotFound(Error),
}

/// The errors that a change of one order may return.
#[derive(IntoResponses)]
pub enum TransitionErrors {
    /// The id or the body breaks a rule (code 3), or the state of the order forbids the change
    /// (code 9).
    #[response(
        status = 400,
        examples(
            ("a rule" = (value = json!({"code": 3, "message": "order_id: must be a positive number", "details": []}))),
            ("the state" = (value = json!({
                "code": 9,
                "message": "order 1000 is CANCELLED and cannot become PAYED",
                "details": [],
            }))),
        )
    )]
    BadRequest(Error),
    /// There is no such order.
    #[response(status = 404, example = json!({"code": 5, "message": "there is no order 1000", "details": []}))]
    NotFound(Error),
    /// The body did not arrive in time.
    #[response(
        status = 408,
        example = json!({"code": 4, "message": "the body did not arrive in time", "details": []})
    )]
    RequestTimeout(Error),
    /// The body has a Content-Encoding.
    #[response(
        status = 415,
        example = json!({
            "code": 3,
            "message": "the body is encoded with gzip; send it without Content-Encoding",
            "details": [],
        })
    )]
    UnsupportedMediaType(Error),
    /// The body is larger than 64 KiB.
    #[response(
        status = 413,
        example = json!({"code": 8, "message": "the body is larger than 65536 bytes", "details": []})
    )]
    PayloadTooLarge(Error),
}

/// The errors that a read of one SKU may return.
#[derive(IntoResponses)]
pub enum StockErrors {
    /// The SKU breaks a rule.
    #[response(
        status = 400,
        example = json!({"code": 3, "message": "sku: must be a 32-bit integer", "details": []})
    )]
    BadRequest(Error),
    /// There is no such SKU.
    #[response(status = 404, example = json!({"code": 5, "message": "there is no sku 7", "details": []}))]
    NotFound(Error),
}

/// The errors that a restock may return.
#[derive(IntoResponses)]
pub enum RestockErrors {
    /// The request breaks a rule (code 3), or fewer pieces would be left than are reserved (code
    /// 9).
    #[response(
        status = 400,
        examples(
            ("a rule" = (value = json!({"code": 3, "message": "count: must not be 0", "details": []}))),
            ("the stock" = (value = json!({
                "code": 9,
                "message": "sku 1002 has 200 pieces, of which 20 are reserved: reserved pieces cannot be removed",
                "details": [],
            }))),
        )
    )]
    BadRequest(Error),
    /// Pieces were to be removed, but there is no such SKU.
    #[response(status = 404, example = json!({"code": 5, "message": "there is no sku 7", "details": []}))]
    NotFound(Error),
    /// The idempotency key belongs to another restock.
    #[response(
        status = 409,
        example = json!({
            "code": 6,
            "message": "the idempotency key was used for another restock, of sku 1002",
            "details": [],
        })
    )]
    KeyReused(Error),
    /// The body did not arrive in time.
    #[response(
        status = 408,
        example = json!({"code": 4, "message": "the body did not arrive in time", "details": []})
    )]
    RequestTimeout(Error),
    /// The body has a Content-Encoding.
    #[response(
        status = 415,
        example = json!({
            "code": 3,
            "message": "the body is encoded with gzip; send it without Content-Encoding",
            "details": [],
        })
    )]
    UnsupportedMediaType(Error),
    /// The body is larger than 64 KiB.
    #[response(
        status = 413,
        example = json!({"code": 8, "message": "the body is larger than 65536 bytes", "details": []})
    )]
    PayloadTooLarge(Error),
}
