//! The middleware around every request of the API: gate, limit, deadline, panics, error shape, metrics.

use std::future::{Ready, ready};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::ConnectionType;
use actix_web::{Error, HttpMessage};
use futures::FutureExt;
use tracing::Span;

use super::body::{announced_length, too_large};
use super::counted::{Counted, OpenRequest};
use super::error::{Shaped, shape};
use super::span::Route;
use super::{ApiError, ErrorBody, operations};
use crate::deadline::{self, Allowance};
use crate::error::ErrorCode;
use crate::failures;
use crate::health::Health;
use crate::metrics;
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
        let route =
            request.extensions_mut().remove::<Route>().map_or_else(|| metrics::UNMATCHED.to_owned(), |r| r.0);
        let method = request.method().clone();
        let front = self.front.clone();
        let counted = Rc::clone(&self.counted);
        let mut open = OpenRequest {
            counted,
            method,
            route,
            started: Instant::now(),
            span: Span::current(),
            is_answered: false,
        };
        let answer = match front.time_for(&request) {
            Err(refusal) => Err((request, refusal)),
            Ok(time) => Ok((self.next.call(request), time)),
        };
        Box::pin(async move {
            let _busy = busy;
            let (result, is_too_short) = match answer {
                Err((request, refusal)) => {
                    (Ok(request.into_response(refusal.render(front.errors)).map_into_boxed_body()), false)
                }
                Ok((answer, allowance)) => {
                    (front.bounded(answer, allowance, &open).await, allowance.is_too_short)
                }
            };
            let status = match &result {
                Ok(response) => response.status(),
                Err(error) => error.as_response_error().status_code(),
            };
            open.answered(status, is_too_short);
            result
        })
    }
}

impl FrontEnd {
    /// How much time the request has; or why it is answered before any handler sees it.
    fn time_for(&self, request: &ServiceRequest) -> Result<Allowance, ApiError> {
        if !self.health.has_been_ready() {
            return Err(ApiError::new(ErrorCode::Unavailable, "the service is starting"));
        }
        let limit = self.body_limit_bytes;
        if announced_length(request.headers()).is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        let Some(wanted) = request.headers().get(deadline::TIMEOUT_HEADER) else {
            return Ok(Allowance::new(None, self.request_timeout));
        };
        let wanted = wanted.to_str().ok().and_then(deadline::parse_timeout);
        wanted.map(|wanted| Allowance::new(Some(wanted), self.request_timeout)).ok_or_else(|| {
            let rule = "Grpc-Timeout: must be at most eight digits and one of H, M, S, m, u, n";
            ApiError::new(ErrorCode::InvalidArgument, rule).with_field("Grpc-Timeout")
        })
    }

    async fn bounded<B: MessageBody + 'static>(
        &self,
        answer: impl Future<Output = Result<ServiceResponse<B>, Error>>,
        allowance: Allowance,
        open: &OpenRequest,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        let deadline = deadline::within(allowance.time);
        let guarded = AssertUnwindSafe(allowance.scope(deadline, answer)).catch_unwind();
        let outcome = match tokio::time::timeout_at(deadline + GRACE, guarded).await {
            Ok(Ok(outcome)) => outcome?,
            // Without a request there is no answer to it, but an error that knows its shape.
            Ok(Err(_panic)) => {
                failures::log(ErrorCode::Internal, || format!("the handler of {open} panicked"));
                return Err(self.shaped(ErrorCode::Internal, "internal error"));
            }
            Err(_) => {
                if !allowance.is_too_short {
                    failures::log(ErrorCode::DeadlineExceeded, || format!("{open} took too long"));
                }
                return Err(self.shaped(ErrorCode::DeadlineExceeded, "the request took too long"));
            }
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
