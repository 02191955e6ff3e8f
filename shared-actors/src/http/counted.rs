//! Each request is counted once, by its route and status, also when its client did not wait for the answer.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use tokio::time::Instant;
use tracing::Span;

use crate::metrics::ApiMetrics;

/// What nginx calls "client closed request": it broke the connection, or allowed too little time.
const CLIENT_GONE: u16 = 499;

/// A request that is being answered.
pub(super) struct OpenRequest {
    pub(super) counted: Rc<Counted>,
    pub(super) method: Method,
    pub(super) route: String,
    pub(super) started: Instant,
    pub(super) span: Span,
    pub(super) is_answered: bool,
}

impl OpenRequest {
    pub(super) fn answered(&mut self, status: StatusCode, is_too_short: bool) {
        self.is_answered = true;
        let is_impatient = is_too_short && status == StatusCode::GATEWAY_TIMEOUT;
        self.close(if is_impatient { CLIENT_GONE } else { status.as_u16() });
    }

    fn close(&self, status: u16) {
        let (elapsed, Self { method, route, .. }) = (self.started.elapsed(), self);
        self.counted.observe(method, route, status, elapsed);
        tracing::debug!(%method, route, status, elapsed_us = elapsed.as_micros(), "request answered");
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        if !self.is_answered {
            self.span.record("http.response.status_code", i64::from(CLIENT_GONE));
            self.close(CLIENT_GONE);
        }
    }
}

impl fmt::Display for OpenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.route)
    }
}

pub(super) fn is_standard(method: &Method) -> bool {
    let standard = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::HEAD,
        Method::OPTIONS,
    ];
    standard.contains(method)
}

/// The metrics that this worker has resolved so far, by route.
#[derive(Default)]
pub(super) struct Counted(RefCell<HashMap<String, Vec<Resolved>>>);

type Resolved = (Method, u16, ApiMetrics);

impl Counted {
    fn observe(&self, method: &Method, route: &str, status: u16, elapsed: Duration) {
        let mut routes = self.0.borrow_mut();
        if !routes.contains_key(route) {
            routes.insert(route.to_owned(), Vec::new());
        }
        let Some(known) = routes.get_mut(route) else { return };
        let found = known.iter().find(|(of, with, _)| of == method && *with == status);
        if let Some((_, _, metrics)) = found {
            return metrics.observe(elapsed);
        }
        // Clients may invent methods; labels may not grow with them.
        let label = if is_standard(method) { method.as_str() } else { "OTHER" };
        let metrics = ApiMetrics::resolve(label, route, &status.to_string());
        metrics.observe(elapsed);
        if label != "OTHER" {
            known.push((method.clone(), status, metrics));
        }
    }
}
