//! The middleware around every API request: readiness gate, limits, deadline, panics, error format,
//! metrics.

use std::cell::Cell;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::{Error, HttpMessage};
use futures::FutureExt;
use shared_actors::deadline;
use shared_actors::health::Health;
use shared_actors::panic_point;
use tokio::time::Instant;
use tracing::Span;

use super::asked::Asked;
use super::body::{Arriving, announced_length, has_body, packed, too_large};
use super::cors::is_preflight;
use super::counted::{self, OpenRequest};
use super::error::{Shaped, finish, shape};
use super::span::Route;
use super::{AllowedOrigins, ApiError, ErrorBody, operations};
use crate::allowance::{self, Allowance};
use crate::error::{ErrorCode, log_failure};
use crate::identity::{Caller, Verifier};
use crate::limits::RateLimits;
use crate::metrics;
use crate::net::Activity;
use crate::refusals::Refusals;

/// How much longer than its deadline a handler may take, so that it can report the timeout itself.
const GRACE: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub(super) struct FrontEnd {
    pub(super) health: Health,
    pub(super) errors: ErrorBody,
    pub(super) body_limit_bytes: usize,
    pub(super) request_timeout: Duration,
    pub(super) origins: AllowedOrigins,
    pub(super) refusals: Arc<Refusals>,
    pub(super) limits: Arc<RateLimits>,
    /// `None` if callers are not told apart.
    pub(super) identity: Option<Verifier>,
}

/// The limits of the answer to one request.
struct Bounds {
    allowance: Allowance,
    /// Whether the whole body has arrived.
    has_come: Rc<Cell<bool>>,
    page: Option<HeaderValue>,
}

pub(super) struct FrontEndService<S> {
    next: Rc<S>,
    front: Rc<FrontEnd>,
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
        ready(Ok(FrontEndService { next: Rc::new(next), front: Rc::new(self.clone()) }))
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

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let activity = request.conn_data::<Arc<Activity>>();
        let client = activity.and_then(|activity| activity.client());
        let busy = activity.map(Activity::begin);
        let asked = Asked::of(&mut request);
        if operations::is_operation(request.path()) {
            let answer = self.next.call(request);
            return Box::pin(async move {
                let _busy = busy;
                Ok(asked.conclude(answer.await?.map_into_boxed_body()))
            });
        }
        let route = request
            .extensions_mut()
            .remove::<Route>()
            .map_or_else(|| metrics::UNMATCHED.to_owned(), |r| r.0);
        let method = counted::label(request.method());
        // The metrics middleware uses it as a label.
        request.head_mut().method = method.clone();
        let front = Rc::clone(&self.front);
        let page = front.origins.page(request.headers());
        let mut open = OpenRequest {
            method,
            route,
            started: Instant::now(),
            span: Span::current(),
            is_answered: false,
        };
        let answer = match front.time_for(&request, client) {
            Err(refusal) => Err((request, refusal)),
            Ok(allowance) => {
                panic_point!("http::calling");
                let has_come = Arriving::watch(&mut request);
                let answer = front.identified(request, Rc::clone(&self.next));
                Ok((answer, Bounds { allowance, has_come, page: page.clone() }))
            }
        };
        Box::pin(async move {
            let _busy = busy;
            let (result, is_too_short) = match answer {
                Err((request, refusal)) => (
                    Ok(request.into_response(refusal.render(front.errors)).map_into_boxed_body()),
                    false,
                ),
                Ok((answer, bounds)) => {
                    let is_too_short = bounds.allowance.is_too_short;
                    (front.bounded(answer, bounds, &open).await, is_too_short)
                }
            };
            let result = result.map(|response| asked.conclude(response));
            let status = match &result {
                Ok(response) => response.status(),
                Err(error) => error.as_response_error().status_code(),
            };
            if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
                front.refusals.hold(Instant::now() + front.request_timeout).await;
            }
            open.answered(status, result.is_ok(), is_too_short);
            result.map(|mut response| {
                finish(response.headers_mut(), page.as_ref());
                response
            })
        })
    }
}

impl FrontEnd {
    /// How much time the request has, or why it is answered before any handler sees it.
    fn time_for(
        &self,
        request: &ServiceRequest,
        client: Option<IpAddr>,
    ) -> Result<Allowance, ApiError> {
        // A preflight is not a call: the browser only asks whether its page may make one.
        if is_preflight(request.method(), request.headers()) {
            return Ok(Allowance::new(None, self.request_timeout));
        }
        self.limits.of_address(client)?;
        if !self.health.has_been_ready() {
            return Err(ApiError::new(ErrorCode::Unavailable, "the service is starting"));
        }
        let limit = self.body_limit_bytes;
        if announced_length(request.headers()).is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        if let Some(refusal) = packed(request.headers()).filter(|_| has_body(request.headers())) {
            return Err(refusal);
        }
        let Some(wanted) = request.headers().get(allowance::TIMEOUT_HEADER) else {
            return Ok(Allowance::new(None, self.request_timeout));
        };
        let wanted = wanted.to_str().ok().and_then(allowance::parse_timeout);
        wanted.map(|wanted| Allowance::new(Some(wanted), self.request_timeout)).ok_or_else(|| {
            let rule = "Grpc-Timeout: must be one to eight digits followed by H, M, S, m, u or n";
            ApiError::new(ErrorCode::InvalidArgument, rule).with_field("Grpc-Timeout")
        })
    }

    /// Passes the request to `next`, together with its caller. A preflight has none.
    fn identified<S, B>(
        self: &Rc<Self>,
        request: ServiceRequest,
        next: Rc<S>,
    ) -> impl Future<Output = Result<ServiceResponse<BoxBody>, Error>> + use<S, B>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
        B: MessageBody + 'static,
    {
        let front = Rc::clone(self);
        async move {
            let caller = if is_preflight(request.method(), request.headers()) {
                Ok(Caller::anyone())
            } else {
                front.caller(&request).await
            };
            match caller {
                Ok(caller) => {
                    request.extensions_mut().insert(caller);
                    Ok(next.call(request).await?.map_into_boxed_body())
                }
                Err(refusal) => {
                    Ok(request.into_response(refusal.render(front.errors)).map_into_boxed_body())
                }
            }
        }
    }

    async fn caller(&self, request: &ServiceRequest) -> Result<Caller, ApiError> {
        let Some(identity) = &self.identity else { return Ok(Caller::anyone()) };
        let tokens = request.headers().get_all(header::AUTHORIZATION);
        let caller = identity.verify_one(&mut tokens.map(HeaderValue::as_bytes)).await?;
        self.limits.of_user(caller.subject())?;
        Ok(caller)
    }

    async fn bounded<B: MessageBody + 'static>(
        &self,
        answer: impl Future<Output = Result<ServiceResponse<B>, Error>>,
        Bounds { allowance, has_come, page }: Bounds,
        open: &OpenRequest,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        // Without a request, no response can be built. The error knows the service's format
        // instead.
        let shaped = |error| Error::from(Shaped { error, body: self.errors, page });
        let deadline = deadline::within(allowance.time);
        let guarded = AssertUnwindSafe(allowance.scope(deadline, answer)).catch_unwind();
        let outcome = match tokio::time::timeout_at(deadline + GRACE, guarded).await {
            Ok(Ok(Ok(outcome))) => outcome,
            Ok(Ok(Err(error))) => {
                let status = error.as_response_error().status_code();
                return Err(shaped(ApiError::of_framework(&error, status)));
            }
            Ok(Err(_panic)) => {
                log_failure(ErrorCode::Internal, format_args!("the handler of {open} panicked"));
                return Err(shaped(ApiError::new(ErrorCode::Internal, "internal error")));
            }
            Err(_) if !has_come.get() => {
                let message = "the body did not arrive in time";
                return Err(shaped(ApiError::new(ErrorCode::RequestTimeout, message)));
            }
            Err(_) => {
                if !allowance.is_too_short {
                    log_failure(ErrorCode::DeadlineExceeded, format_args!("{open} took too long"));
                }
                let message = "the request took too long";
                return Err(shaped(ApiError::new(ErrorCode::DeadlineExceeded, message)));
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
}
