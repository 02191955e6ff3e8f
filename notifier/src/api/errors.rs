//! The format of error responses.

use actix_web::HttpResponse;
use service_kit::http::ErrorParts;

/// Builds the response `{"code": "NOT_FOUND", "message": "…"}`.
pub fn error_body(parts: &ErrorParts) -> HttpResponse {
    let body = serde_json::json!({ "code": parts.code.as_str(), "message": parts.message });
    HttpResponse::build(parts.code.http_status()).json(body)
}
