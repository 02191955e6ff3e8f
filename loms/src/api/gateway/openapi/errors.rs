//! The errors of the gateway, by the routes that answer them.

#![expect(dead_code, reason = "only the schemas are used")]

use utoipa::{IntoResponses, ToSchema};

/// Every error looks like this.
#[derive(ToSchema)]
pub struct Error {
    /// The gRPC code of the outcome.
    #[schema(minimum = 1, maximum = 16, example = 5)]
    code: i32,
    /// What is wrong, for people; names the field at fault.
    #[schema(example = "there is no order 1000")]
    message: String,
    /// `google.rpc.PreconditionFailure`, with the SKUs that are short, when a create was refused for want of stock; empty
    /// otherwise.
    #[schema(value_type = Vec<Object>, max_items = 1)]
    details: (),
}

/// What every call may answer.
#[derive(IntoResponses)]
pub enum EveryCall {
    /// Too much is waiting; nothing happened. `Retry-After` says when to ask again.
    #[response(
        status = 429,
        headers(("Retry-After" = u32, description = "Seconds.")),
        example = json!({"code": 8, "message": "too much is waiting already", "details": []})
    )]
    Overloaded(Error),
    /// A defect of the service.
    #[response(status = 500, example = json!({"code": 13, "message": "internal error", "details": []}))]
    Internal(Error),
    /// A database is down, or the service is starting or stopping. `Retry-After` says when to ask again.
    #[response(
        status = 503,
        headers(("Retry-After" = u32, description = "Seconds.")),
        example = json!({"code": 14, "message": "not available at the moment, try again", "details": []})
    )]
    Unavailable(Error),
    /// The answer was not there in time; what was asked for may have happened.
    #[response(
        status = 504,
        example = json!({"code": 4, "message": "the deadline passed before the answer", "details": []})
    )]
    DeadlineExceeded(Error),
}

/// What a create may answer.
#[derive(IntoResponses)]
pub enum CreateErrors {
    /// A rule of the request is broken (code 3), or a SKU is unknown or too few are in stock (code 9): then the order
    /// is kept and can be read as `FAILED`.
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
            "message": "the idempotency key was used for order 1000, whose items differ",
            "details": [],
        })
    )]
    KeyReused(Error),
    /// The body did not come in time.
    #[response(
        status = 408,
        example = json!({"code": 4, "message": "the body did not come in time", "details": []})
    )]
    RequestTimeout(Error),
    /// The body has a Content-Encoding.
    #[response(
        status = 415,
        example = json!({
            "code": 3,
            "message": "the body is encoded by gzip; it must come as it is, without Content-Encoding",
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

/// What a list may answer.
#[derive(IntoResponses)]
pub enum ListErrors {
    /// A parameter breaks a rule.
    #[response(
        status = 400,
        example = json!({"code": 3, "message": "page_size: must be a whole number of 32 bits", "details": []})
    )]
    BadRequest(Error),
}

/// What a read of one order may answer.
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

/// What a change of one order may answer.
#[derive(IntoResponses)]
pub enum TransitionErrors {
    /// The id or the body breaks a rule (code 3), or the state of the order forbids the change (code 9).
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
    /// The body did not come in time.
    #[response(
        status = 408,
        example = json!({"code": 4, "message": "the body did not come in time", "details": []})
    )]
    RequestTimeout(Error),
    /// The body has a Content-Encoding.
    #[response(
        status = 415,
        example = json!({
            "code": 3,
            "message": "the body is encoded by gzip; it must come as it is, without Content-Encoding",
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

/// What a read of one SKU may answer.
#[derive(IntoResponses)]
pub enum StockErrors {
    /// The SKU breaks a rule.
    #[response(
        status = 400,
        example = json!({"code": 3, "message": "sku: must be a whole number of 32 bits", "details": []})
    )]
    BadRequest(Error),
    /// There is no such SKU.
    #[response(status = 404, example = json!({"code": 5, "message": "there is no sku 7", "details": []}))]
    NotFound(Error),
}

/// What a restock may answer.
#[derive(IntoResponses)]
pub enum RestockErrors {
    /// A rule of the request is broken (code 3), or fewer pieces would be left than are reserved (code 9).
    #[response(
        status = 400,
        examples(
            ("a rule" = (value = json!({"code": 3, "message": "count: must not be 0", "details": []}))),
            ("the stock" = (value = json!({
                "code": 9,
                "message": "sku 1002 has 200 pieces, of which 20 are reserved: they cannot be taken away",
                "details": [],
            }))),
        )
    )]
    BadRequest(Error),
    /// Pieces are to be taken away, and there is no such SKU.
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
    /// The body did not come in time.
    #[response(
        status = 408,
        example = json!({"code": 4, "message": "the body did not come in time", "details": []})
    )]
    RequestTimeout(Error),
    /// The body has a Content-Encoding.
    #[response(
        status = 415,
        example = json!({
            "code": 3,
            "message": "the body is encoded by gzip; it must come as it is, without Content-Encoding",
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
