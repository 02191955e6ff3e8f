//! Counts requests that end without a response that the metrics middleware sees: timeouts, panics,
//! and clients that did not wait. They are counted by route and status, so that every request is
//! counted once.

use std::fmt;
use std::sync::LazyLock;

use actix_web::http::{Method, StatusCode};
use tokio::time::Instant;
use tracing::Span;

use crate::metrics::ApiMetrics;

/// nginx's "client closed request": the client closed the connection or allowed too little time.
const CLIENT_GONE: u16 = 499;

/// The label for methods that clients invent: the number of label values must stay bounded.
static OTHER: LazyLock<Method> = LazyLock::new(|| Method::from_bytes(b"OTHER").unwrap_or_default());

/// A request that is being answered.
pub(super) struct OpenRequest {
    pub(super) method: Method,
    pub(super) route: String,
    pub(super) started: Instant,
    pub(super) span: Span,
    pub(super) is_answered: bool,
}

impl OpenRequest {
    /// Records the status of the answer. A response passes the middleware, which counts all but
    /// 504.
    pub(super) fn answered(&mut self, status: StatusCode, is_response: bool, is_too_short: bool) {
        self.is_answered = true;
        let is_late = status == StatusCode::GATEWAY_TIMEOUT;
        let status = if is_late && is_too_short { CLIENT_GONE } else { status.as_u16() };
        if is_late || !is_response {
            self.count(status);
        }
        self.log(status);
    }

    fn count(&self, status: u16) {
        let metrics = ApiMetrics::resolve(self.method.as_str(), &self.route, &status.to_string());
        metrics.observe(self.started.elapsed());
    }

    fn log(&self, status: u16) {
        let (elapsed, Self { method, route, .. }) = (self.started.elapsed(), self);
        tracing::debug!(%method, route, status, elapsed_us = elapsed.as_micros(), "request answered");
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if !self.is_answered {
            self.span.record("http.response.status_code", i64::from(CLIENT_GONE));
            self.count(CLIENT_GONE);
            self.log(CLIENT_GONE);
        }
    }
}

impl fmt::Display for OpenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.route)
    }
}

/// The method as a label.
pub(super) fn label(method: &Method) -> Method {
    let standard = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::HEAD,
        Method::OPTIONS,
    ];
    if standard.contains(method) { method.clone() } else { OTHER.clone() }
}
