//! How an error is written.

use actix_web::HttpResponse;
use shared_actors::http::ErrorParts;

/// `{"code": "NOT_FOUND", "message": "…"}`
pub fn error_body(parts: &ErrorParts) -> HttpResponse {
    let body = serde_json::json!({ "code": parts.code.as_str(), "message": parts.message });
    HttpResponse::build(parts.code.http_status()).json(body)
}
