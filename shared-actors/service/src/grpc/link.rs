//! The connection to one gRPC server, replaced when the server stops answering over it.

use std::error::Error as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use tonic::transport::{Channel, Endpoint, Error};
use tonic::{Code, Request, Response, Status};
use tracing::warn;

use shared_actors::deadline;
use shared_actors::trace;

use crate::tls::ClientTls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection is replaced only after it has been silent for this long: short deadlines prove
/// little.
const SILENCE: Duration = Duration::from_millis(500);
/// How much too early a timer may appear to fire.
const TIMER_STEP: Duration = Duration::from_millis(5);

/// A connection to one server. Cheap to clone.
///
/// It connects on first use and again after a loss. A firewall that drops a connection leaves it
/// open and silent. Therefore, a connection that received nothing between the start of a call and
/// its deadline is replaced. The next call uses the new connection; calls in progress keep the old
/// one.
#[derive(Clone, Debug)]
pub struct Link {
    endpoint: Endpoint,
    /// The runtime that connections run on, whichever task needs a new one.
    runtime: Handle,
    line: Arc<Mutex<Line>>,
}

#[derive(Debug)]
struct Line {
    channel: Channel,
    /// Incremented with each new connection.
    number: u64,
    /// When the connection was opened, or when something last came over it.
    heard: Instant,
}

impl Link {
    /// A link to `base_url`, with or without its scheme. `tls` applies if the scheme is `https`.
    /// Must be called on the runtime that the connections run on.
    ///
    /// # Errors
    /// `base_url` is not a valid URL.
    pub fn to(base_url: &str, tls: &ClientTls) -> Result<Self, Error> {
        let endpoint = endpoint(base_url, tls)?;
        let line = Line { channel: endpoint.connect_lazy(), number: 0, heard: Instant::now() };
        Ok(Self { endpoint, runtime: Handle::current(), line: Arc::new(Mutex::new(line)) })
    }

    /// Sends `message` as a request that carries the current trace and deadline. After the
    /// deadline, nothing is sent.
    ///
    /// # Errors
    /// The error of the call; `DeadlineExceeded` if the deadline came first.
    pub async fn send<M, T>(
        &self,
        message: M,
        send: impl AsyncFnOnce(Channel, Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<Response<T>, Status> {
        let late = || Status::deadline_exceeded("no answer in time");
        if deadline::remaining().is_some_and(|left| left.is_zero()) {
            return Err(late());
        }
        let started = Instant::now();
        let (channel, number) = {
            let line = self.line();
            (line.channel.clone(), line.number)
        };
        let answer = send(channel, request(message));
        let answer = match deadline::current() {
            Some(deadline) => timeout_at(deadline, answer).await.ok(),
            None => Some(answer.await),
        };
        match answer {
            Some(Ok(answer)) => {
                self.heard(number);
                Ok(answer)
            }
            Some(Err(status)) if !is_transport_timeout(&status) => {
                // Only a status that was created here, because the connection broke, has a source.
                if status.source().is_none() {
                    self.heard(number);
                }
                Err(status)
            }
            Some(Err(_)) | None => {
                self.missed(number, started);
                Err(late())
            }
        }
    }

    fn heard(&self, number: u64) {
        let mut line = self.line();
        if line.number == number {
            line.heard = Instant::now();
        }
    }

    /// Handles a call that began at `started` and got no answer: replaces a silent connection.
    fn missed(&self, number: u64, started: Instant) {
        let mut line = self.line();
        if line.number == number && line.heard < started && line.heard.elapsed() >= SILENCE {
            warn!(server = %self.endpoint.uri(), "a connection timed out, opening another one");
            let _runtime = self.runtime.enter();
            *line = Line {
                channel: self.endpoint.connect_lazy(),
                number: number + 1,
                heard: Instant::now(),
            };
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server to connect to, with or without the scheme in its URL. Connections detect by themselves
/// that the server is gone.
pub(crate) fn endpoint(base_url: &str, tls: &ClientTls) -> Result<Endpoint, Error> {
    let url =
        if base_url.contains("://") { base_url.to_owned() } else { format!("http://{base_url}") };
    let endpoint = Endpoint::from_shared(url)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(KEEP_ALIVE))
        .tcp_keepalive_interval(Some(KEEP_ALIVE_TIMEOUT))
        .tcp_keepalive_retries(Some(2))
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    match endpoint.uri().scheme_str() {
        Some("https") => endpoint.tls_config(tls.for_grpc(CONNECT_TIMEOUT)),
        _ => Ok(endpoint),
    }
}

/// Whether the transport's own timer ended the call. It also fires at the deadline, and reports a
/// cancellation.
fn is_transport_timeout(status: &Status) -> bool {
    let expired = deadline::remaining().is_some_and(|left| left < TIMER_STEP);
    expired && status.code() == Code::Cancelled
}

fn request<M>(message: M) -> Request<M> {
    let mut request = Request::new(message);
    let traceparent = trace::traceparent().and_then(|text| text.parse().ok());
    if let Some(traceparent) = traceparent {
        request.metadata_mut().insert("traceparent", traceparent);
    }
    if let Some(remaining) = deadline::remaining() {
        // Some servers would refuse a timeout of zero as malformed.
        request.set_timeout(remaining.max(Duration::from_millis(1)));
    }
    request
}
