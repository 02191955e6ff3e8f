//! The shape of an error: `{"code": "…", "message": "…", "details": […]}`.

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
    let (code, details) = (parts.code.as_str().to_owned(), parts.details.clone());
    HttpResponse::build(parts.code.http_status()).json(ErrorAnswer { code, message, details })
}
