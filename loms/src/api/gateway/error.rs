//! The gateway's error body: `{"code": <gRPC code>, "message": "...", "details": []}`.

use actix_web::HttpResponse;
use serde::Serialize;
use shared_actors::http::ErrorParts;

#[derive(Serialize)]
struct Body<'a> {
    code: i32,
    message: &'a str,
    /// Always empty: the message names the field at fault.
    details: [(); 0],
}

/// Renders an error, be it of a call, an unknown route, a wrong method or a body too large.
pub fn error_body(error: &ErrorParts) -> HttpResponse {
    let body = Body { code: error.code.grpc_code() as i32, message: &error.message, details: [] };
    HttpResponse::build(error.code.gateway_status()).json(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use shared_actors::error::ErrorCode;

    #[actix_web::test]
    async fn an_error_shows_its_grpc_code_and_the_status_of_the_published_table() {
        let rows = [
            (ErrorCode::InvalidArgument, 400, 3),
            (ErrorCode::DeadlineExceeded, 504, 4),
            (ErrorCode::NotFound, 404, 5),
            (ErrorCode::AlreadyExists, 409, 6),
            (ErrorCode::PayloadTooLarge, 413, 8),
            (ErrorCode::Overloaded, 429, 8),
            (ErrorCode::FailedPrecondition, 400, 9),
            (ErrorCode::MethodNotAllowed, 405, 12),
            (ErrorCode::Internal, 500, 13),
            (ErrorCode::Unavailable, 503, 14),
        ];
        for (code, status, grpc_code) in rows {
            let response = error_body(&ErrorParts { code, message: "why".to_owned(), field: None });
            assert_eq!(response.status(), status, "{code:?}");
            let body = to_bytes(response.into_body()).await.unwrap();
            assert_eq!(body, format!(r#"{{"code":{grpc_code},"message":"why","details":[]}}"#), "{code:?}");
        }
    }
}
