//! The shape of an error: `{"code": "…", "message": "…"}`.

use actix_web::HttpResponse;
use service_kit::http::ErrorParts;

use super::body::ErrorAnswer;

/// Builds the response for an error.
pub fn error_body(parts: &ErrorParts) -> HttpResponse {
    let message = match &parts.field {
        Some(field) if !parts.message.contains(field.as_str()) => {
            format!("{field}: {}", parts.message)
        }
        _ => parts.message.clone(),
    };
    let code = parts.code.as_str().to_owned();
    HttpResponse::build(parts.code.http_status()).json(ErrorAnswer { code, message })
}
