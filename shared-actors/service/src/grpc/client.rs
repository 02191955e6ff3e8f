//! The client side: calls carry the trace and the deadline, and each call is counted.

use std::time::Instant;

use shared_actors::detail_span;
use shared_actors::trace;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tracing::{Instrument, field};

use super::{Link, code_name};
use crate::metrics;

/// Calls `method`, such as `/Loms/OrderCreate`, over `link`, like [`Link::send`]. Counts the call
/// as an external request.
///
/// # Errors
/// The error of the call; `DeadlineExceeded` if the deadline came first.
pub async fn call<M, T>(
    link: &Link,
    method: &'static str,
    message: M,
    send: impl AsyncFnOnce(Channel, Request<M>) -> Result<Response<T>, Status>,
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
    let result = timed(method, link.send(message, send)).instrument(span.clone()).await;
    if trace::is_exporting() {
        let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
        span.record("rpc.response.status_code", code_name(code));
        if code != Code::Ok {
            trace::failed(&span, code_name(code));
        }
    }
    result
}

async fn timed<T>(
    method: &'static str,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Status> {
    let started = Instant::now();
    let result = answer.await;
    let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
    metrics::external(method, code_name(code), started.elapsed());
    result.map(Response::into_inner)
}
