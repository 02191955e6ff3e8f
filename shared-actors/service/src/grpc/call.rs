//! The layer around every call: readiness gate, span, deadline, panics, the pace of refusals,
//! metrics.

use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::Either;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, Response};
use shared_actors::health::Health;
use shared_actors::trace;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Layer, Service};
use tracing::{Instrument, Span, field};

use super::answer::Answer;
use super::ended::Ended;
use super::methods::{Method, Methods};
use super::{code_name, status};
use crate::allowance::{self, Allowance};
use crate::error::{ErrorCode, log_failure};
use crate::identity::{Caller, Verifier};
use crate::limits::RateLimits;
use crate::net::Activity;
use crate::refusals::{Refusals, spread};

/// At the client's own deadline, the transport answers CANCELLED and the client stops listening. At
/// most this much of the time is kept back, so that the server can answer `DEADLINE_EXCEEDED`
/// itself.
const LONGEST_MARGIN: Duration = Duration::from_millis(20);

#[derive(Clone)]
pub(super) struct CallLayer(pub(super) Arc<Calls>);

pub(super) struct Calls {
    pub(super) methods: Methods,
    pub(super) health: Health,
    pub(super) request_timeout: Duration,
    pub(super) refusals: Refusals,
    /// Cancelled when the streams of health and reflection have to end.
    pub(super) ending: CancellationToken,
    /// `None` if callers are not told apart.
    pub(super) identity: Option<Verifier>,
    pub(super) limits: Arc<RateLimits>,
}

#[derive(Clone)]
pub(super) struct CallService<S> {
    next: S,
    calls: Arc<Calls>,
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, next: S) -> Self::Service {
        CallService { next, calls: Arc::clone(&self.0) }
    }
}

impl<S> Service<Request<Body>> for CallService<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.next.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let method = self.calls.methods.find(request.uri().path());
        let activity = request.extensions().get::<Arc<Activity>>();
        let client = activity.and_then(|activity| activity.client());
        let busy = activity.map(Activity::begin);
        if method.is_operation {
            let (answer, ending) = (self.next.call(request), self.calls.ending.clone());
            return Box::pin(async move {
                Ok(answer.await?.map(|body| Ended::when(ending, busy, body)))
            });
        }
        if !self.calls.health.has_been_ready() {
            method.observe(Code::Unavailable, Duration::ZERO);
            return Box::pin(ready(Ok(starting().into_http())));
        }
        let (method, calls) = (Arc::clone(method), Arc::clone(&self.calls));
        let started = Instant::now();
        let deadline = deadline_of(request.headers(), started, self.calls.request_timeout);
        let mut open = OpenCall { method, started, deadline, is_answered: false };
        let span = open_span(&open.method, request.headers());
        let answer = match (self.calls.limits.of_address(client), &self.calls.identity) {
            (Err(limited), _) => Either::Left(ready(Ok(status(&limited).into_http()))),
            (Ok(()), None) => {
                request.extensions_mut().insert(Caller::anyone());
                Either::Right(Either::Left(self.next.call(request)))
            }
            (Ok(()), Some(identity)) => {
                // This one is ready, so the clone serves the next call.
                let clone = self.next.clone();
                let next = std::mem::replace(&mut self.next, clone);
                let limits = Arc::clone(&self.calls.limits);
                Either::Right(Either::Right(identified(identity.clone(), limits, request, next)))
            }
        };
        Box::pin(
            async move {
                let scoped = deadline.allowance.scope(deadline.asked, answer);
                let guarded = AssertUnwindSafe(scoped).catch_unwind();
                let mut answer = match tokio::time::timeout_at(deadline.last, guarded).await {
                    Ok(Ok(answer)) => answer,
                    Ok(Err(_panic)) => {
                        let method = &open.method.path;
                        log_failure(
                            ErrorCode::Internal,
                            format_args!("the handler of {method} panicked"),
                        );
                        Ok(Status::internal("internal error").into_http())
                    }
                    Err(_) => Ok(Status::deadline_exceeded("the call took too long").into_http()),
                };
                if let Ok(answer) = &mut answer {
                    blame(answer.headers_mut());
                }
                let code =
                    answer.as_ref().map_or(Code::Unknown, |answer| code_of(answer.headers()));
                // The time that a refusal is held back does not count as latency.
                let elapsed = started.elapsed();
                if matches!(code, Code::ResourceExhausted | Code::Unavailable) {
                    calls.refusals.hold(deadline.last).await;
                }
                open.answered(code, elapsed);
                Ok(match busy {
                    Some(busy) => answer?.map(|body| Answer::give(busy, body)),
                    None => answer?,
                })
            }
            .instrument(span),
        )
    }
}

/// Passes the call to `next`, together with its caller.
async fn identified<S>(
    identity: Verifier,
    limits: Arc<RateLimits>,
    mut request: Request<Body>,
    mut next: S,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    let mut tokens = request.headers().get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    match identity.verify_one(&mut tokens).await {
        Ok(caller) => {
            if let Err(limited) = limits.of_user(caller.subject()) {
                return Ok(status(&limited).into_http());
            }
            request.extensions_mut().insert(caller);
            next.call(request).await
        }
        Err(refusal) => Ok(status(&refusal).into_http()),
    }
}

fn starting() -> Status {
    let details = ErrorDetails::with_retry_info(Some(spread(Duration::from_secs(1))));
    Status::with_error_details(Code::Unavailable, "the service is starting", details)
}

fn open_span(method: &Method, headers: &HeaderMap) -> Span {
    let name = method.path.trim_start_matches('/');
    let span = tracing::info_span!(
        target: trace::REQUEST,
        "request",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = field::Empty,
        error.type = field::Empty,
        rpc.system.name = "grpc",
        rpc.method = name,
        rpc.response.status_code = field::Empty,
    );
    let parent = headers.get("traceparent").and_then(|value| value.to_str().ok());
    trace::set_parent(&span, parent);
    span
}

/// A call that is counted once: with its answer, or as cancelled if the client did not wait for
/// one.
struct OpenCall {
    method: Arc<Method>,
    started: Instant,
    deadline: Deadline,
    is_answered: bool,
}

impl OpenCall {
    fn answered(&mut self, code: Code, elapsed: Duration) {
        self.is_answered = true;
        let is_impatient = code == Code::DeadlineExceeded && self.deadline.allowance.is_too_short;
        close(&self.method, if is_impatient { Code::Cancelled } else { code }, elapsed);
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        if !self.is_answered {
            close(&self.method, Code::Cancelled, self.started.elapsed());
        }
    }
}

fn close(method: &Method, code: Code, elapsed: Duration) {
    method.observe(code, elapsed);
    let is_fault = matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    );
    if trace::is_exporting() {
        let span = Span::current();
        span.record("rpc.response.status_code", code_name(code));
        if is_fault {
            trace::failed(&span, code_name(code));
        }
    }
    tracing::debug!(
        method = %method.path,
        status = code_name(code),
        elapsed_us = elapsed.as_micros(),
        "call answered"
    );
}

/// The code of an answer that failed before its body. Other answers send their code after the body
/// and are `Ok` so far.
fn code_of(headers: &HeaderMap) -> Code {
    headers.get(Status::GRPC_STATUS).map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()))
}

/// Replaces the codes of bad messages that tonic uses and other implementations do not. A message
/// that is too large gets `OUT_OF_RANGE`. A message that cannot be decompressed gets an internal
/// error, although the sender is at fault.
fn blame(headers: &mut HeaderMap) {
    let cannot_unpack =
        |message: &HeaderValue| message.as_bytes().starts_with(b"Error%20decompressing");
    let code = match code_of(headers) {
        Code::OutOfRange => Code::ResourceExhausted,
        Code::Internal if headers.get(Status::GRPC_MESSAGE).is_some_and(cannot_unpack) => {
            Code::InvalidArgument
        }
        _ => return,
    };
    headers.insert(Status::GRPC_STATUS, HeaderValue::from(code as u16));
}

#[derive(Clone, Copy)]
struct Deadline {
    allowance: Allowance,
    /// The deadline of everything that the handler asks.
    asked: Instant,
    /// When the call is answered even if the handler is not done.
    last: Instant,
}

fn deadline_of(headers: &HeaderMap, started: Instant, limit: Duration) -> Deadline {
    let wanted = headers
        .get(allowance::TIMEOUT_HEADER)
        .and_then(|value| allowance::parse_timeout(value.to_str().ok()?));
    let allowance = Allowance::new(wanted, limit);
    let total = allowance.time;
    let margin = (total / 5).min(LONGEST_MARGIN);
    Deadline {
        allowance,
        asked: started + total.saturating_sub(margin),
        last: started + total.saturating_sub(margin / 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_wrongly_is_no_fault_of_ours() {
        for (said, meant) in [
            (
                Status::internal("Error decompressing: corrupt gzip stream, while sending request"),
                Code::InvalidArgument,
            ),
            (Status::out_of_range("message length too large"), Code::ResourceExhausted),
            (Status::internal("internal error"), Code::Internal),
        ] {
            let mut headers = HeaderMap::new();
            said.add_header(&mut headers).unwrap();
            blame(&mut headers);
            assert_eq!(code_of(&headers), meant, "{said}");
        }
    }

    #[test]
    fn a_deadline_ends_before_the_one_of_the_client_and_never_after_ours() {
        let (started, limit) = (Instant::now(), Duration::from_secs(10));
        let mut headers = HeaderMap::new();
        assert!(deadline_of(&headers, started, limit).last < started + limit);
        headers.insert("grpc-timeout", "100m".parse().unwrap());
        let deadline = deadline_of(&headers, started, limit);
        assert_eq!(deadline.asked, started + Duration::from_millis(80));
        assert_eq!(deadline.last, started + Duration::from_millis(90));
        headers.insert("grpc-timeout", "99999999H".parse().unwrap());
        assert!(deadline_of(&headers, started, limit).last < started + limit);
    }
}
