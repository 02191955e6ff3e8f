//! The connection to one gRPC server, replaced when it falls silent.

use std::error::Error as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};
use tonic::transport::{Channel, Endpoint, Error};
use tonic::{Code, Request, Response, Status};
use tracing::warn;

use crate::{deadline, telemetry};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection is not replaced before it has been silent for so long: short deadlines prove little.
const SILENCE: Duration = Duration::from_millis(500);
/// How much earlier than asked a timer may be seen to have fired.
const TIMER_STEP: Duration = Duration::from_millis(5);

/// A connection to one server. Cheap to clone.
///
/// It connects when it is first used and again after a loss. A firewall that forgets a connection leaves it open and
/// silent; so one over which nothing came between the start of a call and its deadline is replaced, and the next call
/// goes over a new one. Calls that are under way keep theirs.
#[derive(Clone, Debug)]
pub struct Link {
    endpoint: Endpoint,
    /// The runtime that connections run on, regardless of which task needs a new one.
    runtime: Handle,
    line: Arc<Mutex<Line>>,
}

#[derive(Debug)]
struct Line {
    channel: Channel,
    /// Raised with each connection.
    number: u64,
    /// When it was opened, or something came over it last.
    heard: Instant,
}

impl Link {
    /// A link to `base_url`, with or without its scheme. To be called on the runtime on which the connections live.
    ///
    /// # Errors
    /// The URL is none.
    pub fn to(base_url: &str) -> Result<Self, Error> {
        let endpoint = endpoint(base_url)?;
        let line = Line { channel: endpoint.connect_lazy(), number: 0, heard: Instant::now() };
        Ok(Self { endpoint, runtime: Handle::current(), line: Arc::new(Mutex::new(line)) })
    }

    /// Sends `message` as a request that continues the current trace and has the current deadline. Past the deadline
    /// nothing is sent.
    ///
    /// # Errors
    /// Those of the call; `DeadlineExceeded` when the deadline came first.
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
                // Only a status that was made here, as the connection broke, has a source.
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

    /// Nothing came for a call that was `started` then.
    fn missed(&self, number: u64, started: Instant) {
        let mut line = self.line();
        if line.number == number && line.heard < started && line.heard.elapsed() >= SILENCE {
            warn!(server = %self.endpoint.uri(), "a connection timed out, opening another one");
            let _runtime = self.runtime.enter();
            *line = Line { channel: self.endpoint.connect_lazy(), number: number + 1, heard: Instant::now() };
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server to connect to, with or without the scheme in its URL. Connections notice by themselves when the server is gone.
pub(crate) fn endpoint(base_url: &str) -> Result<Endpoint, Error> {
    let url = if base_url.contains("://") { base_url.to_owned() } else { format!("http://{base_url}") };
    Ok(Endpoint::from_shared(url)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(KEEP_ALIVE))
        .tcp_keepalive_interval(Some(KEEP_ALIVE_TIMEOUT))
        .tcp_keepalive_retries(Some(2))
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT))
}

/// The transport has a timer of its own on the moment of the deadline, and calls it a cancellation.
fn is_transport_timeout(status: &Status) -> bool {
    let expired = deadline::remaining().is_some_and(|left| left < TIMER_STEP);
    expired && status.code() == Code::Cancelled
}

fn request<M>(message: M) -> Request<M> {
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
