//! The conversion of errors to gRPC statuses.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::error::{ErrorInfo, ServiceError, log_fault};
use crate::refusals::spread;

/// The status of an error. It has a `google.rpc.BadRequest` for a field at fault, a
/// `google.rpc.PreconditionFailure` for conditions that must change first, a `google.rpc.ErrorInfo`
/// for its reason, and a `google.rpc.RetryInfo` if a retry makes sense. Logs an error if the
/// service is at fault.
///
/// ```
/// use service_kit::error::{ErrorCode, ServiceError};
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("no order {0}")]
/// struct NoOrder(i64);
///
/// impl ServiceError for NoOrder {
///     fn code(&self) -> ErrorCode {
///         ErrorCode::NotFound
///     }
///     fn public_message(&self) -> String {
///         self.to_string()
///     }
/// }
///
/// let status = service_kit::grpc::status(&NoOrder(7));
/// assert_eq!((status.code(), status.message()), (tonic::Code::NotFound, "no order 7"));
/// ```
pub fn status(error: &(impl ServiceError + ?Sized)) -> Status {
    log_fault(error);
    let (code, message) = (error.code().grpc_code(), error.public_message());
    let mut details = ErrorDetails::new();
    if let Some(field) = error.field() {
        details.add_bad_request_violation(field, message.as_str());
    }
    let preconditions = error.preconditions();
    let failed = !preconditions.is_empty();
    for violation in preconditions {
        details.add_precondition_failure_violation(
            violation.kind,
            violation.subject,
            violation.description,
        );
    }
    if let Some(ErrorInfo { reason, domain, metadata }) = error.info() {
        details.set_error_info(reason, domain, HashMap::from_iter(metadata));
    }
    if let Some(delay) = error.retry_after() {
        details.set_retry_info(Some(spread(delay)));
    }
    let told = failed
        || details.has_bad_request_violations()
        || details.error_info().is_some()
        || details.retry_info().is_some();
    if told {
        Status::with_error_details(code, message, details)
    } else {
        Status::new(code, message)
    }
}

/// The name of a code as the specification spells it, such as `NOT_FOUND`.
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
