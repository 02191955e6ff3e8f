//! Errors for HTTP clients: their content, separate from the format of each service.

use std::fmt;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::error::PathError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use super::cors::allow;
use crate::error::{Detail, ErrorCode, ErrorInfo, PreconditionViolation, ServiceError, log_fault};
use crate::refusals::spread;

/// The content of an error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorParts {
    /// The outcome, such as `NotFound`.
    pub code: ErrorCode,
    /// The text for the client.
    pub message: String,
    /// The field at fault, as the client spells it.
    pub field: Option<String>,
    /// The conditions that must change before the request can succeed.
    pub preconditions: Vec<PreconditionViolation>,
    /// The reason and the facts, for programs.
    pub info: Option<ErrorInfo>,
    /// The things that are at fault, as named numbers.
    pub details: Vec<Detail>,
}

impl ErrorParts {
    /// An outcome and its text, and nothing else.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            field: None,
            preconditions: Vec::new(),
            info: None,
            details: Vec::new(),
        }
    }
}

/// Formats an error of the service as status and body. Headers such as `Allow` and `Retry-After`
/// are added later.
pub type ErrorBody = fn(&ErrorParts) -> HttpResponse;

/// Any error of a service, as handlers return it with `Result<HttpResponse, ApiError>` and `?`.
///
/// ```
/// use actix_web::ResponseError;
/// use service_kit::error::ErrorCode;
/// use service_kit::http::ApiError;
///
/// let error = ApiError::new(ErrorCode::InvalidArgument, "count must be positive")
///     .with_field("count");
/// assert_eq!(error.status_code(), 400);
/// ```
#[derive(Clone, Debug)]
pub struct ApiError {
    parts: Box<ErrorParts>,
    retry_after: Option<Duration>,
}

impl ApiError {
    /// An error that occurs in the front-end itself.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { parts: Box::new(ErrorParts::new(code, message)), retry_after: None }
    }

    /// Sets the field at fault.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.parts.field = Some(field.into());
        self
    }

    /// Sets when to retry. Without it, 429 and 503 say one second.
    #[must_use]
    pub fn with_retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The content of the error.
    pub fn parts(&self) -> &ErrorParts {
        &self.parts
    }

    /// The error for an error of the framework, by the status that the framework has chosen.
    pub(super) fn of_framework(error: &actix_web::Error, status: StatusCode) -> Self {
        let message =
            if status.is_server_error() { "internal error".to_owned() } else { error.to_string() };
        Self::new(ErrorCode::from_http(status), message)
    }

    /// The error for a response that has a status and nothing else.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let message = match status {
            StatusCode::NOT_FOUND => "no such route",
            StatusCode::METHOD_NOT_ALLOWED => "this route does not support this method",
            StatusCode::PAYLOAD_TOO_LARGE => "the body is too large",
            status if status.is_server_error() => "internal error",
            status => status.canonical_reason().unwrap_or("the request was refused"),
        };
        Self::new(ErrorCode::from_http(status), message)
    }

    /// The error for a path whose segments do not have the types of the handler. Names the segment.
    pub(super) fn of_path(error: &PathError, request: &HttpRequest) -> Self {
        let text = error.to_string();
        let segments = request.match_info();
        let named = segments.iter().find(|(_, value)| text.contains(&format!("{value:?}")));
        match named {
            Some((name, value)) => {
                let message = format!("{name}: {value:?} is not valid");
                Self::new(ErrorCode::InvalidArgument, message).with_field(name)
            }
            None => Self::new(ErrorCode::InvalidArgument, "the path is not valid"),
        }
    }

    pub(super) fn render(&self, body: ErrorBody) -> HttpResponse {
        let mut response = body(&self.parts);
        if self.parts.code == ErrorCode::Unauthenticated {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        if let Some(seconds) = self.retry_seconds() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    fn retry_seconds(&self) -> Option<u64> {
        let busy = matches!(self.parts.code, ErrorCode::Overloaded | ErrorCode::Unavailable);
        let delay = self.retry_after.or(busy.then_some(Duration::from_secs(1)))?;
        let delay = spread(delay);
        Some(delay.as_secs() + u64::from(delay.subsec_nanos() > 0))
    }
}

impl<E: ServiceError + 'static> From<E> for ApiError {
    fn from(error: E) -> Self {
        log_fault(&error);
        let parts = ErrorParts {
            code: error.code(),
            message: error.public_message(),
            field: error.field().map(str::to_owned),
            preconditions: error.preconditions(),
            info: error.info(),
            details: error.details(),
        };
        Self { parts: Box::new(parts), retry_after: error.retry_after() }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.parts.code.as_str(), self.parts.message)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.parts.code.http_status()
    }

    /// Has no body: the middleware adds it in the service's format.
    fn error_response(&self) -> HttpResponse<BoxBody> {
        HttpResponse::new(self.status_code())
    }
}

/// An error that knows the format of its service, for places that have no request to answer.
#[derive(Debug)]
pub(super) struct Shaped {
    pub(super) error: ApiError,
    pub(super) body: ErrorBody,
    /// The origin of the calling page, if that page may read the answer.
    pub(super) page: Option<HeaderValue>,
}

impl fmt::Display for Shaped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl ResponseError for Shaped {
    fn status_code(&self) -> StatusCode {
        self.error.render(self.body).status()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = self.error.render(self.body).map_into_boxed_body();
        finish(response.headers_mut(), self.page.as_ref());
        response
    }
}

/// Adds the headers for browsers and caches that every API answer has.
pub(super) fn finish(headers: &mut HeaderMap, page: Option<&HeaderValue>) {
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Some(page) = page {
        allow(headers, page);
    }
}

/// Converts an error answer to the service's format, unless a handler wrote its own body.
pub(super) fn shape(response: HttpResponse, body: ErrorBody) -> HttpResponse {
    let status = response.status();
    let error = match response.error() {
        Some(error) => error
            .as_error::<ApiError>()
            .cloned()
            .unwrap_or_else(|| ApiError::of_framework(error, status)),
        None if matches!(
            response.body().size(),
            actix_web::body::BodySize::None | actix_web::body::BodySize::Sized(0)
        ) =>
        {
            ApiError::of_status(status)
        }
        None => return response,
    };
    let mut shaped = error.render(body).map_into_boxed_body();
    // The handler's headers win: all values of a name are replaced.
    let kept = |name: &HeaderName| !matches!(*name, header::CONTENT_TYPE | header::CONTENT_LENGTH);
    for name in response.headers().keys().filter(|name| kept(name)) {
        shaped.headers_mut().remove(name);
    }
    for (name, value) in response.headers().iter().filter(|(name, _)| kept(name)) {
        shaped.headers_mut().append(name.clone(), value.clone());
    }
    shaped
}
