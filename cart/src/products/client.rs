//! The HTTP client of the product service, with a rate limit, timeouts and retries.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::RETRY_AFTER;
use reqwest::{Certificate, Client, Response, StatusCode, Url, redirect};
use serde::Serialize;
use service_kit::metrics;
use service_kit::settings::Secret;
use service_kit::tls::PemFile;
use shared_actors::trace;
use shared_actors::{deadline, detail_span};
use tokio::time::sleep;
use tracing::{Instrument, Span, field, warn};

use super::Product;
use super::breaker::Breaker;
use super::pace::Pace;
use crate::domain::{CartError, Part, Sku, UserId};

const ENHANCE_YOUR_CALM: u16 = 420;
/// How long a call may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// A call with less time left is not made.
const LEAST: Duration = Duration::from_millis(20);
/// An idle connection is probed after `KEEP_ALIVE` and closed after `IDLE_TIMEOUT`.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer. It bounds the name of a product.
const MAX_ANSWER_BYTES: usize = 8 * 1024;

/// The product service's address, and the limits for calls.
#[derive(Clone, Debug)]
pub struct ProductServiceSettings {
    /// The URL of the service's method.
    pub url: Url,
    /// The certificate authorities to trust. The system's if `None`.
    pub ca: Option<PemFile>,
    /// The token that authenticates us.
    pub token: Secret,
    /// How many times a call is retried after a transient failure.
    pub max_retries: u32,
    /// The pause before each retry.
    pub retry_delay: Duration,
    /// The maximum number of calls per second, including retries.
    pub requests_per_second: usize,
    /// How long one call may take.
    pub timeout: Duration,
}

/// The client of the product service.
pub struct ProductClient {
    connections: Mutex<Connections>,
    settings: ProductServiceSettings,
    /// Only the path, as the label of metrics.
    path: String,
    /// The whole URL without user and password, for traces.
    shown_url: String,
    pace: Pace,
    breaker: Breaker,
}

/// The open connections. A call that times out makes all of them suspect, because a firewall that
/// dropped one has dropped the others too. The next call then opens a new one.
struct Connections {
    client: Client,
    /// Incremented with each new client.
    number: u64,
    since: Instant,
}

#[derive(Serialize)]
struct GetProduct<'a> {
    token: &'a str,
    sku: String,
}

/// A failure of one call.
struct Failure {
    error: CartError,
    may_pass: bool,
    /// How long the service asks not to be called.
    retry_after: Option<Duration>,
    /// Whether the call had less time than usual, and no answer.
    was_hurried: bool,
    /// The cause, for the log.
    cause: String,
}

impl ProductClient {
    /// A client with its own connections.
    ///
    /// # Errors
    /// The system's TLS cannot be used.
    pub fn new(settings: ProductServiceSettings) -> Result<Self, reqwest::Error> {
        // Another provider may already be installed; either one works.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let connections = Mutex::new(Connections {
            client: client(&settings)?,
            number: 0,
            since: Instant::now(),
        });
        let pace = Pace::new(settings.requests_per_second, PATIENCE);
        let mut shown_url = settings.url.clone();
        // Fails only for URLs that no HTTP client accepts.
        let _ = shown_url.set_username("").and_then(|()| shown_url.set_password(None));
        let path = settings.url.path().to_owned();
        let breaker = Breaker::new();
        Ok(Self { connections, path, shown_url: shown_url.into(), pace, breaker, settings })
    }

    /// Returns the product that `user` needs, or `None` if the service does not know the SKU. Retries
    /// transient failures while there is time.
    ///
    /// # Errors
    /// `Overloaded` if the rate limit permits no call before the deadline. `Unavailable`: immediately
    /// during a pause. `DeadlineExceeded`, `BadGateway`.
    pub async fn get(&self, user: UserId, sku: Sku) -> Result<Option<Product>, CartError> {
        let mut retries = 0;
        loop {
            let turn = self.pace.turn(user, deadline::within(PATIENCE)).await?;
            if deadline::remaining().is_some_and(|left| left < LEAST) {
                // The wait for the turn took too long.
                turn.unused();
                return Err(CartError::Overloaded);
            }
            let Some(permit) = self.breaker.admit(moment()) else {
                turn.unused();
                return Err(CartError::Unavailable(Part::Products));
            };
            let answer = self.call(sku).await;
            drop(turn);
            let failure = match answer {
                Ok(product) => {
                    self.breaker.succeeded(permit);
                    return Ok(product);
                }
                Err(failure) => failure,
            };
            if !failure.may_pass {
                // It is no use to repeat this call, but the service works.
                self.breaker.succeeded(permit);
                return Err(failure.error);
            }
            let pause = failure.retry_after.unwrap_or(self.settings.retry_delay);
            if failure.retry_after.is_some() {
                self.breaker.asked_to_wait(moment(), permit, pause);
            }
            let time_is_up = deadline::remaining().is_some_and(|left| left <= pause);
            let is_last = retries >= self.settings.max_retries || time_is_up;
            if is_last || permit.is_trial && failure.retry_after.is_none() {
                // A call that had little time says nothing about the service.
                if !failure.was_hurried {
                    self.breaker.failed(moment(), permit);
                }
                return Err(failure.error);
            }
            retries += 1;
            sleep(pause).await;
        }
    }

    fn connections(&self) -> (Client, u64) {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        (connections.client.clone(), connections.number)
    }

    /// Opens new connections for later calls. Calls in progress keep the connections of `number`.
    fn reconnect(&self, number: u64) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        // If the service is permanently slow, its connections are replaced only at this interval.
        if connections.number == number && connections.since.elapsed() >= self.settings.timeout {
            match client(&self.settings) {
                Ok(client) => {
                    *connections = Connections { client, number: number + 1, since: Instant::now() }
                }
                Err(error) => {
                    warn!(%error, "cannot replace the connections to the product service");
                }
            }
        }
    }

    async fn call(&self, sku: Sku) -> Result<Option<Product>, Failure> {
        let url = &self.settings.url;
        let span = detail_span!(
            "call",
            otel.name = format!("POST {}", self.path),
            otel.kind = "client",
            otel.status_code = field::Empty,
            error.type = field::Empty,
            http.request.method = "POST",
            http.response.status_code = field::Empty,
            server.address = url.host_str(),
            server.port = url.port_or_known_default().map(i64::from),
            url.full = self.shown_url.as_str(),
        );
        self.ask(sku).instrument(span).await
    }

    async fn ask(&self, sku: Sku) -> Result<Option<Product>, Failure> {
        let started = Instant::now();
        let question = GetProduct { token: self.settings.token.expose(), sku: sku.to_string() };
        let (client, number) = self.connections();
        let mut request = client.post(self.settings.url.clone()).json(&question);
        if let Some(left) = deadline::remaining() {
            request = request.timeout(left.min(self.settings.timeout));
        }
        if let Some(traceparent) = trace::traceparent() {
            request = request.header("traceparent", traceparent);
        }
        let (status, product) = match request.send().await {
            Ok(response) => (response.status().as_str().to_owned(), understand(response).await),
            Err(error) => {
                let status = if error.is_timeout() { "timeout" } else { "transport" };
                let was_hurried =
                    error.is_timeout() && started.elapsed() < self.settings.timeout * 9 / 10;
                if error.is_timeout() && !was_hurried {
                    self.reconnect(number);
                }
                let failure = Failure { was_hurried, ..Failure::of_transport(&error) };
                (status.to_owned(), Err(failure))
            }
        };
        metrics::external(&self.path, &status, started.elapsed());
        if trace::is_exporting() {
            let span = Span::current();
            span.record("http.response.status_code", status.parse::<i64>().ok());
            if product.is_err() {
                trace::failed(&span, &status);
            }
        }
        if let Err(failure) = &product {
            warn!(%sku, status, cause = failure.cause, "a request to the product service failed");
        }
        product
    }
}

fn client(settings: &ProductServiceSettings) -> Result<Client, reqwest::Error> {
    let timeout = settings.timeout;
    let mut builder = Client::builder();
    if let Some(ca) = &settings.ca {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(ca.bytes())?);
    }
    builder
        .no_proxy()
        .connect_timeout(timeout)
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        .tcp_nodelay(true)
        .tcp_keepalive(KEEP_ALIVE)
        .tcp_user_timeout(timeout)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build()
}

async fn understand(response: Response) -> Result<Option<Product>, Failure> {
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(service_kit::http::retry_after);
    match response.status() {
        StatusCode::OK => {
            let body = bounded_body(response).await?;
            serde_json::from_slice(&body)
                .map(Some)
                .map_err(|error| Failure::unusable(error.to_string()))
        }
        StatusCode::NOT_FOUND => Ok(None),
        status
            if status == StatusCode::TOO_MANY_REQUESTS || status.as_u16() == ENHANCE_YOUR_CALM =>
        {
            let error = CartError::Unavailable(Part::Products);
            let cause = "it asks to slow down".to_owned();
            Err(Failure { retry_after, ..Failure::passing(error, cause) })
        }
        status if retry_after.is_some() => {
            let error = CartError::Unavailable(Part::Products);
            let cause = format!("{status}, and it asks for a pause");
            Err(Failure { retry_after, ..Failure::passing(error, cause) })
        }
        status => Err(Failure {
            may_pass: status.is_server_error(),
            ..Failure::unusable(status.to_string())
        }),
    }
}

/// Now, by the clock of [`Breaker`].
fn moment() -> tokio::time::Instant {
    tokio::time::Instant::now()
}

async fn bounded_body(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Failure::of_transport(&error))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(Failure::unusable("the answer is too large".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl Failure {
    fn unusable(cause: String) -> Self {
        let error = CartError::BadGateway(Part::Products);
        Self { may_pass: false, ..Self::passing(error, cause) }
    }

    fn passing(error: CartError, cause: String) -> Self {
        Self { error, may_pass: true, retry_after: None, was_hurried: false, cause }
    }

    fn of_transport(error: &reqwest::Error) -> Self {
        let part = Part::Products;
        let outcome = if error.is_timeout() {
            CartError::DeadlineExceeded(part)
        } else {
            CartError::Unavailable(part)
        };
        // The outermost error only says that a request failed.
        let causes =
            std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        let cause = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
        Self::passing(outcome, cause)
    }
}
