//! The root span of a request.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpMessage};
use shared_actors::trace;
use tracing::{Span, field};
use tracing_actix_web::RootSpanBuilder;

use super::{counted, operations};
use crate::metrics;

/// The pattern of the matched route, or [`metrics::UNMATCHED`].
#[derive(Clone)]
pub(super) struct Route(pub(super) String);

/// Opens the span of a whole request, as a continuation of the client's trace.
pub(super) struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        if operations::is_operation(request.path()) {
            return Span::none();
        }
        let route = request.match_pattern().unwrap_or_else(|| metrics::UNMATCHED.to_owned());
        // Clients may invent methods, but the number of span names must stay bounded.
        let method = counted::label(request.method());
        let method = if method == *request.method() { method.as_str() } else { "_OTHER" };
        let span = tracing::info_span!(
            target: trace::REQUEST,
            "request",
            otel.name = field::Empty,
            otel.kind = "server",
            otel.status_code = field::Empty,
            http.request.method = method,
            http.route = field::Empty,
            http.response.status_code = field::Empty,
            url.path = field::Empty,
            url.scheme = field::Empty,
            error.type = field::Empty,
        );
        if trace::is_exporting() {
            if route == metrics::UNMATCHED {
                span.record("otel.name", method);
            } else {
                span.record("otel.name", format!("{method} {route}"));
                span.record("http.route", route.as_str());
            }
            span.record("url.path", request.path());
            span.record("url.scheme", request.connection_info().scheme());
        }
        let parent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
        trace::set_parent(&span, parent);
        request.extensions_mut().insert(Route(route));
        span
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            trace::failed(&span, status.as_str());
        }
    }
}
