//! The gateway's error body: `{"code": <gRPC code>, "message": "...", "details": [...]}`.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use serde::Serialize;
use service_kit::error::{ErrorInfo, PreconditionViolation};
use service_kit::http::ErrorParts;

#[derive(Serialize)]
struct Body<'a> {
    code: i32,
    message: &'a str,
    /// The failed preconditions and the reason, if any. A field at fault is not listed here: the
    /// message names it.
    details: Vec<Detail<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Detail<'a> {
    Preconditions(PreconditionFailure<'a>),
    Info(Info<'a>),
}

/// `google.rpc.ErrorInfo` as the JSON of a `google.protobuf.Any`.
#[derive(Serialize)]
struct Info<'a> {
    #[serde(rename = "@type")]
    type_url: &'static str,
    reason: &'static str,
    domain: &'static str,
    metadata: &'a BTreeMap<String, String>,
}

/// `google.rpc.PreconditionFailure` as the JSON of a `google.protobuf.Any`.
#[derive(Serialize)]
struct PreconditionFailure<'a> {
    #[serde(rename = "@type")]
    type_url: &'static str,
    violations: Vec<Violation<'a>>,
}

#[derive(Serialize)]
struct Violation<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    subject: &'a str,
    description: &'a str,
}

impl<'a> PreconditionFailure<'a> {
    fn of(error: &'a ErrorParts) -> Option<Self> {
        let violation = |violation: &'a PreconditionViolation| Violation {
            kind: violation.kind,
            subject: &violation.subject,
            description: &violation.description,
        };
        let violations: Vec<_> = error.preconditions.iter().map(violation).collect();
        let type_url = "type.googleapis.com/google.rpc.PreconditionFailure";
        (!violations.is_empty()).then_some(Self { type_url, violations })
    }
}

/// Renders the error of a call, an unknown route, a wrong method, or a body that is too large.
pub fn error_body(error: &ErrorParts) -> HttpResponse {
    let info = error.info.as_ref().map(|ErrorInfo { reason, domain, metadata }| Info {
        type_url: "type.googleapis.com/google.rpc.ErrorInfo",
        reason,
        domain,
        metadata,
    });
    let preconditions = PreconditionFailure::of(error).map(Detail::Preconditions);
    let details = preconditions.into_iter().chain(info.map(Detail::Info)).collect();
    let body = Body { code: error.code.grpc_code() as i32, message: &error.message, details };
    HttpResponse::build(error.code.gateway_status()).json(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use service_kit::error::ErrorCode;

    fn parts(code: ErrorCode) -> ErrorParts {
        ErrorParts::new(code, "why")
    }

    #[actix_web::test]
    async fn what_has_to_change_first_stands_in_the_details() {
        let short = PreconditionViolation {
            kind: "STOCK",
            subject: "sku/7".to_owned(),
            description: "sku 7 is unknown".to_owned(),
        };
        let metadata = BTreeMap::from([("sku/7/wanted".to_owned(), "2".to_owned())]);
        let info = ErrorInfo { reason: "OUT_OF_STOCK", domain: "loms", metadata };
        let error = ErrorParts {
            preconditions: vec![short],
            info: Some(info),
            ..parts(ErrorCode::FailedPrecondition)
        };
        let body = to_bytes(error_body(&error).into_body()).await.unwrap();
        let details = r#"[{"@type":"type.googleapis.com/google.rpc.PreconditionFailure","violations":[{"type":"STOCK","subject":"sku/7","description":"sku 7 is unknown"}]},{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"OUT_OF_STOCK","domain":"loms","metadata":{"sku/7/wanted":"2"}}]"#;
        assert_eq!(body, format!(r#"{{"code":9,"message":"why","details":{details}}}"#));
    }

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
            let response = error_body(&parts(code));
            assert_eq!(response.status(), status, "{code:?}");
            let body = to_bytes(response.into_body()).await.unwrap();
            assert_eq!(
                body,
                format!(r#"{{"code":{grpc_code},"message":"why","details":[]}}"#),
                "{code:?}"
            );
        }
    }
}
