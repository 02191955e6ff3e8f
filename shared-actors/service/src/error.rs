//! The outcomes that a client can distinguish, and what every service error reports about itself.
//!
//! [`ErrorCode`] is the one place that maps outcomes to HTTP statuses and gRPC codes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use tonic::Code;

use crate::allowance;

/// The one list of outcomes other than success.
///
/// ```
/// use service_kit::error::ErrorCode;
///
/// assert_eq!(ErrorCode::FailedPrecondition.as_str(), "FAILED_PRECONDITION");
/// assert_eq!(ErrorCode::FailedPrecondition.http_status(), 412);
/// assert_eq!(ErrorCode::FailedPrecondition.gateway_status(), 400);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The request is malformed or breaks a rule that does not depend on state.
    InvalidArgument,
    /// The caller did not say who it is, or could not prove it.
    Unauthenticated,
    /// The caller may not do this.
    PermissionDenied,
    /// Something that the request names does not exist.
    NotFound,
    /// It already exists, and differs.
    AlreadyExists,
    /// The current state does not allow it.
    FailedPrecondition,
    /// An idempotency key was reused for a different request.
    IdempotencyKeyReused,
    /// The request conflicts with something that is still in progress. A later retry may succeed.
    Conflict,
    /// The body or message is larger than the limit.
    PayloadTooLarge,
    /// The encoding of the body is not supported.
    UnsupportedMediaType,
    /// The client did not send its whole body in time.
    RequestTimeout,
    /// The route exists, but does not have this method.
    MethodNotAllowed,
    /// The service has more work than it admits. Nothing was done.
    Overloaded,
    /// A part that the request needs is down or restarting.
    Unavailable,
    /// The answer did not arrive within the time that the caller or the service allows.
    DeadlineExceeded,
    /// A dependency gave an invalid answer.
    BadGateway,
    /// A defect of ours. The message never reveals more than that.
    Internal,
}

impl ErrorCode {
    /// The stable name that clients match on, in upper snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::Conflict => "CONFLICT",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            Self::RequestTimeout => "REQUEST_TIMEOUT",
            Self::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            Self::Overloaded => "OVERLOADED",
            Self::Unavailable => "UNAVAILABLE",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::BadGateway => "BAD_GATEWAY",
            Self::Internal => "INTERNAL",
        }
    }

    /// The HTTP status of a REST answer.
    pub const fn http_status(self) -> StatusCode {
        match self {
            Self::InvalidArgument => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::AlreadyExists | Self::Conflict => StatusCode::CONFLICT,
            Self::FailedPrecondition => StatusCode::PRECONDITION_FAILED,
            Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The HTTP status of a gateway's answer. Where the outcome came from a gRPC call, it follows
    /// the published table from gRPC codes to REST.
    pub const fn gateway_status(self) -> StatusCode {
        match self {
            Self::FailedPrecondition | Self::IdempotencyKeyReused => StatusCode::BAD_REQUEST,
            other => other.http_status(),
        }
    }

    /// The gRPC code of the same outcome.
    pub const fn grpc_code(self) -> Code {
        match self {
            Self::InvalidArgument | Self::UnsupportedMediaType => Code::InvalidArgument,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::PermissionDenied => Code::PermissionDenied,
            Self::NotFound => Code::NotFound,
            Self::AlreadyExists | Self::IdempotencyKeyReused => Code::AlreadyExists,
            Self::FailedPrecondition => Code::FailedPrecondition,
            Self::Conflict => Code::Aborted,
            Self::PayloadTooLarge | Self::Overloaded => Code::ResourceExhausted,
            Self::MethodNotAllowed => Code::Unimplemented,
            Self::Unavailable | Self::BadGateway => Code::Unavailable,
            Self::DeadlineExceeded | Self::RequestTimeout => Code::DeadlineExceeded,
            Self::Internal => Code::Internal,
        }
    }

    /// The outcome that a gRPC code means to the caller; `None` for `Ok`.
    pub const fn from_grpc(code: Code) -> Option<Self> {
        Some(match code {
            Code::Ok => return None,
            Code::InvalidArgument | Code::OutOfRange => Self::InvalidArgument,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists => Self::AlreadyExists,
            Code::FailedPrecondition => Self::FailedPrecondition,
            Code::Aborted => Self::Conflict,
            Code::ResourceExhausted => Self::Overloaded,
            Code::Unavailable | Code::Cancelled => Self::Unavailable,
            Code::DeadlineExceeded => Self::DeadlineExceeded,
            Code::Unknown
            | Code::Internal
            | Code::DataLoss
            | Code::Unimplemented
            | Code::PermissionDenied
            | Code::Unauthenticated => Self::BadGateway,
        })
    }

    /// The outcome behind an HTTP status that was not chosen by a [`ServiceError`].
    pub fn from_http(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            409 => Self::Conflict,
            412 => Self::FailedPrecondition,
            408 => Self::RequestTimeout,
            413 => Self::PayloadTooLarge,
            415 => Self::UnsupportedMediaType,
            429 => Self::Overloaded,
            502 => Self::BadGateway,
            503 => Self::Unavailable,
            504 => Self::DeadlineExceeded,
            400..=499 => Self::InvalidArgument,
            _ => Self::Internal,
        }
    }

    /// Whether the service is at fault. These errors are logged with their causes.
    pub const fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Internal | Self::BadGateway | Self::Unavailable | Self::DeadlineExceeded
        )
    }
}

/// A condition that keeps a request from succeeding, as in `google.rpc.PreconditionFailure`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreconditionViolation {
    /// The kind of precondition, in upper snake case.
    pub kind: &'static str,
    /// The thing that it is about.
    pub subject: String,
    /// How it is violated, as text for people.
    pub description: String,
}

/// Why a request failed, for programs, as in `google.rpc.ErrorInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorInfo {
    /// The reason, in upper snake case. It is unique within `domain`.
    pub reason: &'static str,
    /// The service that the reason belongs to.
    pub domain: &'static str,
    /// The facts of this failure.
    pub metadata: BTreeMap<String, String>,
}

/// Named numbers about one thing that is at fault. `None` where the number is unknown.
pub type Detail = BTreeMap<&'static str, Option<u64>>;

/// What every service error can report about itself. Front-ends turn it into an answer.
pub trait ServiceError: std::error::Error {
    /// The outcome.
    fn code(&self) -> ErrorCode;

    /// The text for the client. It never contains internals.
    fn public_message(&self) -> String;

    /// The field at fault, as the client spells it.
    fn field(&self) -> Option<&str> {
        None
    }

    /// The conditions that must change before the request can succeed.
    fn preconditions(&self) -> Vec<PreconditionViolation> {
        Vec::new()
    }

    /// The reason and the facts, for programs.
    fn info(&self) -> Option<ErrorInfo> {
        None
    }

    /// The things that are at fault, as named numbers.
    fn details(&self) -> Vec<Detail> {
        Vec::new()
    }

    /// How long to wait before a retry, if one makes sense.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// Logs an error that the service is at fault for, with its causes. Called once, where the error
/// becomes an answer.
pub(crate) fn log_fault(error: &(impl ServiceError + ?Sized)) {
    let code = error.code();
    // If a client allowed too little time, that is not our fault.
    if code.is_fault() && !(code == ErrorCode::DeadlineExceeded && allowance::is_too_short()) {
        // The text is created only if the line is written.
        log_failure(code, fmt::from_fn(|f| f.write_str(&with_causes(error))));
    }
}

/// Logs why a request failed with `code`. Of many failures with one code, only some get a line.
pub fn log_failure(code: ErrorCode, error: impl fmt::Display) {
    tracing::error!(code = code.as_str(), %error, "request failed");
}

fn with_causes(error: &(impl ServiceError + ?Sized)) -> String {
    let mut causes = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !causes.contains(&text) {
            causes = format!("{causes}: {text}");
        }
        source = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [ErrorCode; 17] = [
        ErrorCode::InvalidArgument,
        ErrorCode::Unauthenticated,
        ErrorCode::PermissionDenied,
        ErrorCode::NotFound,
        ErrorCode::AlreadyExists,
        ErrorCode::FailedPrecondition,
        ErrorCode::IdempotencyKeyReused,
        ErrorCode::Conflict,
        ErrorCode::PayloadTooLarge,
        ErrorCode::UnsupportedMediaType,
        ErrorCode::RequestTimeout,
        ErrorCode::MethodNotAllowed,
        ErrorCode::Overloaded,
        ErrorCode::Unavailable,
        ErrorCode::DeadlineExceeded,
        ErrorCode::BadGateway,
        ErrorCode::Internal,
    ];

    #[test]
    fn every_row_of_the_contract_has_its_status_and_its_code() {
        let rows = [
            (ErrorCode::InvalidArgument, 400, 400, 3),
            (ErrorCode::Unauthenticated, 401, 401, 16),
            (ErrorCode::PermissionDenied, 403, 403, 7),
            (ErrorCode::NotFound, 404, 404, 5),
            (ErrorCode::FailedPrecondition, 412, 400, 9),
            (ErrorCode::AlreadyExists, 409, 409, 6),
            (ErrorCode::Overloaded, 429, 429, 8),
            (ErrorCode::Unavailable, 503, 503, 14),
            (ErrorCode::DeadlineExceeded, 504, 504, 4),
            (ErrorCode::Internal, 500, 500, 13),
        ];
        for (code, http, gateway, grpc) in rows {
            assert_eq!(code.http_status().as_u16(), http, "{code:?}");
            assert_eq!(code.gateway_status().as_u16(), gateway, "{code:?}");
            assert_eq!(code.grpc_code() as i32, grpc, "{code:?}");
        }
    }

    #[test]
    fn a_status_chosen_elsewhere_is_answered_with_a_class_that_fits() {
        for status in (400..600).filter_map(|status| StatusCode::from_u16(status).ok()) {
            let ours = ErrorCode::from_http(status).http_status();
            assert_eq!(ours.is_client_error(), status.is_client_error(), "{status}");
        }
    }

    #[test]
    fn names_are_distinct() {
        let names: std::collections::HashSet<_> = ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
