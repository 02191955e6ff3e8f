//! The client's side: the trace and the deadline go along, and each call is counted.

use std::time::{Duration, Instant};

use tonic::transport::{Channel, Endpoint, Error};
use tonic::{Code, Request, Response, Status};
use tracing::{Instrument, field};

use super::code_name;
use crate::{deadline, detail_span, metrics, telemetry};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How much earlier than asked a timer may be seen to have fired.
const TIMER_STEP: Duration = Duration::from_millis(5);

/// A channel to `base_url`, with or without its scheme, that connects when it is first used and again after a
/// loss. To be called on a runtime.
///
/// # Errors
/// The URL is none.
pub fn channel(base_url: &str) -> Result<Channel, Error> {
    let url = if base_url.contains("://") { base_url.to_owned() } else { format!("http://{base_url}") };
    let endpoint = Endpoint::from_shared(url)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5));
    Ok(endpoint.connect_lazy())
}

/// Makes `message` a request that continues the current trace and has the current deadline.
fn inject<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let traceparent = telemetry::traceparent().and_then(|text| text.parse().ok());
    if let Some(traceparent) = traceparent {
        request.metadata_mut().insert("traceparent", traceparent);
    }
    if let Some(remaining) = deadline::remaining() {
        // A timeout of zero would be refused as malformed by some servers.
        request.set_timeout(remaining.max(Duration::from_millis(1)));
    }
    request
}

/// Calls `method`, such as `/Loms/OrderCreate`: `send` gets `message` as a request that continues the current trace and
/// has the current deadline. Counts the call as external.
///
/// # Errors
/// Those of the call; `DeadlineExceeded` when the deadline came first.
pub async fn call<M, T>(
    method: &'static str,
    message: M,
    send: impl AsyncFnOnce(Request<M>) -> Result<Response<T>, Status>,
) -> Result<T, Status> {
    let name = method.trim_start_matches('/');
    let span = detail_span!(
        "call",
        otel.name = name,
        otel.kind = "client",
        otel.status_code = field::Empty,
        error.type = field::Empty,
        rpc.system.name = "grpc",
        rpc.method = name,
        rpc.response.status_code = field::Empty,
    );
    let result = timed(method, async { send(inject(message)).await }).instrument(span.clone()).await;
    if telemetry::is_exporting() {
        let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
        span.record("rpc.response.status_code", code_name(code));
        if code != Code::Ok {
            telemetry::failed(&span, code_name(code));
        }
    }
    result
}

async fn timed<T>(
    method: &'static str,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    let started = Instant::now();
    let late = || Status::deadline_exceeded("no answer in time");
    let result = match deadline::current() {
        Some(deadline) => tokio::time::timeout_at(deadline, answer).await.unwrap_or_else(|_| Err(late())),
        None => answer.await,
    };
    // The transport has a timer of its own on the same moment, and calls it a cancellation.
    let result = result.map_err(|status| {
        let expired = deadline::remaining().is_some_and(|remaining| remaining < TIMER_STEP);
        if expired && status.code() == Code::Cancelled { late() } else { status }
    });
    let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
    metrics::external(method, code_name(code), started.elapsed());
    result.map(Response::into_inner)
}
