//! The middleware around every request of the API: gate, limit, deadline, panics, error shape, metrics.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{Ready, ready};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::{Error, HttpMessage};
use futures::FutureExt;

use super::body::{announced_length, too_large};
use super::error::{Shaped, shape};
use super::span::Route;
use super::{ApiError, ErrorBody, operations};
use crate::deadline;
use crate::error::ErrorCode;
use crate::health::Health;
use crate::metrics::{self, ApiMetrics};
use crate::net::Activity;

/// What is asked to answer by the deadline gets this much longer to say so in its own words.
const GRACE: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(super) struct FrontEnd {
    pub(super) health: Health,
    pub(super) errors: ErrorBody,
    pub(super) body_limit_bytes: usize,
    pub(super) request_timeout: Duration,
}

pub(super) struct FrontEndService<S> {
    next: S,
    front: FrontEnd,
    counted: Rc<Counted>,
}

impl<S, B> Transform<S, ServiceRequest> for FrontEnd
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = FrontEndService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, next: S) -> Self::Future {
        ready(Ok(FrontEndService { next, front: self.clone(), counted: Rc::default() }))
    }
}

impl<S, B> Service<ServiceRequest> for FrontEndService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(next);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let busy = request.conn_data::<Arc<Activity>>().map(Activity::begin);
        if operations::is_operation(request.path()) {
            let answer = self.next.call(request);
            return Box::pin(async move {
                let _busy = busy;
                Ok(answer.await?.map_into_boxed_body())
            });
        }
        let started = Instant::now();
        let route =
            request.extensions_mut().remove::<Route>().map_or_else(|| metrics::UNMATCHED.to_owned(), |r| r.0);
        let method = request.method().clone();
        let (front, counted) = (self.front.clone(), Rc::clone(&self.counted));
        let answer = match front.time_for(&request) {
            Err(refusal) => Err((request, refusal)),
            Ok(time) => Ok((self.next.call(request), time)),
        };
        Box::pin(async move {
            let _busy = busy;
            let result = match answer {
                Err((request, refusal)) => {
                    Ok(request.into_response(refusal.render(front.errors)).map_into_boxed_body())
                }
                Ok((answer, time)) => front.bounded(answer, time).await,
            };
            let status = match &result {
                Ok(response) => response.status(),
                Err(error) => error.as_response_error().status_code(),
            };
            let elapsed = started.elapsed();
            counted.observe(&method, &route, status, elapsed);
            tracing::debug!(%method, route, status = status.as_u16(), elapsed_us = elapsed.as_micros(), "request answered");
            result
        })
    }
}

impl FrontEnd {
    /// How much time the request has; or why it is answered before any handler sees it.
    fn time_for(&self, request: &ServiceRequest) -> Result<Duration, ApiError> {
        if !self.health.has_been_ready() {
            return Err(ApiError::new(ErrorCode::Unavailable, "the service is starting"));
        }
        let limit = self.body_limit_bytes;
        if announced_length(request.headers()).is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        let Some(wanted) = request.headers().get(deadline::TIMEOUT_HEADER) else {
            return Ok(self.request_timeout);
        };
        let wanted = wanted.to_str().ok().and_then(deadline::parse_timeout);
        wanted.map(|wanted| wanted.min(self.request_timeout)).ok_or_else(|| {
            let rule = "Grpc-Timeout: must be at most eight digits and one of H, M, S, m, u, n";
            ApiError::new(ErrorCode::InvalidArgument, rule).with_field("Grpc-Timeout")
        })
    }

    async fn bounded<B: MessageBody + 'static>(
        &self,
        answer: impl Future<Output = Result<ServiceResponse<B>, Error>>,
        time: Duration,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let deadline = deadline::within(time);
        let guarded = AssertUnwindSafe(deadline::scope(deadline, answer)).catch_unwind();
        let outcome = match tokio::time::timeout_at(deadline + GRACE, guarded).await {
            Ok(Ok(outcome)) => outcome?,
            // Without a request there is no answer to it, but an error that knows its shape.
            Ok(Err(_panic)) => return Err(self.shaped(ErrorCode::Internal, "internal error")),
            Err(_) => return Err(self.shaped(ErrorCode::DeadlineExceeded, "the request took too long")),
        };
        let mut response = outcome.map_into_boxed_body();
        let status = response.status();
        if status.is_client_error() || status.is_server_error() {
            let (request, answer) = response.into_parts();
            response = ServiceResponse::new(request, shape(answer, self.errors));
        }
        if self.health.is_stopping() {
            response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
        Ok(response)
    }

    fn shaped(&self, code: ErrorCode, message: &str) -> Error {
        Shaped { error: ApiError::new(code, message), body: self.errors }.into()
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
struct Counted(RefCell<HashMap<String, Vec<Resolved>>>);

type Resolved = (Method, StatusCode, ApiMetrics);

impl Counted {
    fn observe(&self, method: &Method, route: &str, status: StatusCode, elapsed: Duration) {
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
        let metrics = ApiMetrics::resolve(label, route, status.as_str());
        metrics.observe(elapsed);
        if label != "OTHER" {
            known.push((method.clone(), status, metrics));
        }
    }
}
