//! Limits of an HTTP server.

use std::num::NonZero;
use std::time::Duration;

use super::AllowedOrigins;
use crate::limits::ClientLimits;
use crate::settings::{ListenAddress, Reader};
use crate::tls::ListenerTls;

/// The most workers that actix can number.
const MOST_WORKERS: usize = 512;

const OPERATIONS: &str = "OPERATIONS_HOST_PORT";

/// How an HTTP server listens and what it admits.
#[derive(Clone, Debug)]
pub struct HttpServerSettings {
    /// The address to listen on.
    pub address: ListenAddress,
    /// The certificate; without one, connections are not encrypted.
    pub tls: Option<ListenerTls>,
    /// What one client may take.
    pub limits: ClientLimits,
    /// The address of a port only for `/livez`, `/readyz` and `/metrics`. It answers while all
    /// connections of the other port are taken, and tells why a part is not ready, which the other
    /// port then does not. Never encrypted.
    pub operations: Option<ListenAddress>,
    /// The number of threads that serve connections.
    pub workers: usize,
    /// The largest request body, in bytes.
    pub body_limit_bytes: usize,
    /// How long a request may take before it is answered with 504.
    pub request_timeout: Duration,
    /// The maximum number of connections, over all workers.
    pub max_connections: usize,
    /// The origins whose pages may call from a browser.
    pub allowed_origins: AllowedOrigins,
    /// How long a connection may be idle between two requests.
    pub keep_alive: Duration,
    /// How long a client may take to send the head of a request.
    pub head_timeout: Duration,
    /// How long a client may take to receive an answer.
    pub answer_timeout: Duration,
    /// How long [`super::HttpFrontEnd::stop`] waits for requests in progress.
    pub stop_timeout: Duration,
}

impl HttpServerSettings {
    /// The defaults, at `address`.
    pub fn new(address: ListenAddress) -> Self {
        Self {
            address,
            tls: None,
            limits: ClientLimits::default(),
            operations: None,
            workers: std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST_WORKERS),
            body_limit_bytes: 16 * 1024,
            request_timeout: Duration::from_secs(10),
            max_connections: 10_000,
            allowed_origins: AllowedOrigins::default(),
            keep_alive: Duration::from_secs(75),
            head_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_mins(1),
            stop_timeout: Duration::from_secs(10),
        }
    }

    /// Reads `port_setting` (an address or a port, by default `default_port`), `HTTP_WORKERS`,
    /// `REQUEST_TIMEOUT`, `HTTP_MAX_CONNECTIONS`, `SWAGGER_FOR_CORS_ALLOWED_URL`,
    /// `OPERATIONS_HOST_PORT`, the files of [`ListenerTls`]
    /// and [`ClientLimits`].
    pub fn read(reader: &mut Reader, port_setting: &str, default_port: u16) -> Self {
        let defaults = Self::new(ListenAddress::loopback_port(default_port));
        Self {
            address: reader.get(port_setting, defaults.address),
            tls: ListenerTls::read(reader),
            limits: ClientLimits::read(reader, ""),
            operations: reader.is_set(OPERATIONS).then(|| reader.get(OPERATIONS, defaults.address)),
            workers: reader.get_in("HTTP_WORKERS", defaults.workers, 1..=MOST_WORKERS),
            request_timeout: reader.duration("REQUEST_TIMEOUT", defaults.request_timeout),
            max_connections: reader.get_in(
                "HTTP_MAX_CONNECTIONS",
                defaults.max_connections,
                1..=1_000_000,
            ),
            allowed_origins: reader.get("SWAGGER_FOR_CORS_ALLOWED_URL", defaults.allowed_origins),
            ..defaults
        }
    }
}
