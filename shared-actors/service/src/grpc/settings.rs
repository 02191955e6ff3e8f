//! Limits of a gRPC server.

use std::time::Duration;

use crate::limits::ClientLimits;
use crate::settings::{ListenAddress, Reader};
use crate::tls::ListenerTls;

/// How a gRPC server listens and what it admits.
#[derive(Clone, Debug)]
pub struct GrpcServerSettings {
    /// The address to listen on.
    pub address: ListenAddress,
    /// The certificate; without one, connections are not encrypted.
    pub tls: Option<ListenerTls>,
    /// What one client may take.
    pub limits: ClientLimits,
    /// The longest that a call may take, whatever deadline its client sets.
    pub request_timeout: Duration,
    /// The maximum number of concurrent calls per connection. More calls wait at the client.
    pub max_concurrent_streams: u32,
    /// The maximum number of connections. Beyond it, one without a complete handshake is closed, or
    /// the new one waits.
    pub max_connections: usize,
    /// How long a client may take for the handshake.
    pub head_timeout: Duration,
    /// How long a connection may be without a call.
    pub idle_timeout: Duration,
    /// How long a client may take to receive what was sent to it.
    pub answer_timeout: Duration,
    /// The age at which a connection is asked to end after its calls, so that clients spread over
    /// new instances.
    pub max_connection_age: Duration,
    /// The largest message, in bytes. The services apply it to the servers that they create.
    pub message_limit_bytes: usize,
    /// How often an idle connection is pinged.
    pub keep_alive: Duration,
    /// How long [`super::GrpcFrontEnd::stop`] waits for calls in progress.
    pub stop_timeout: Duration,
}

impl GrpcServerSettings {
    /// The defaults, at `address`.
    pub fn new(address: ListenAddress) -> Self {
        Self {
            address,
            tls: None,
            limits: ClientLimits::default(),
            request_timeout: Duration::from_secs(10),
            max_concurrent_streams: 1024,
            max_connections: 4096,
            head_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_mins(5),
            answer_timeout: Duration::from_mins(1),
            max_connection_age: Duration::from_mins(30),
            message_limit_bytes: 1024 * 1024,
            keep_alive: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(10),
        }
    }

    /// Reads `port_setting` (an address or a port, by default `default_port`), `REQUEST_TIMEOUT`,
    /// `GRPC_MAX_CONCURRENT_STREAMS`, `GRPC_MAX_CONNECTIONS`, the files of [`ListenerTls`]
    /// and [`ClientLimits`].
    pub fn read(reader: &mut Reader, port_setting: &str, default_port: u16) -> Self {
        let defaults = Self::new(ListenAddress::loopback_port(default_port));
        let streams = defaults.max_concurrent_streams;
        Self {
            address: reader.get(port_setting, defaults.address),
            tls: ListenerTls::read(reader),
            limits: ClientLimits::read(reader, "GRPC_"),
            request_timeout: reader.duration("REQUEST_TIMEOUT", defaults.request_timeout),
            max_concurrent_streams: reader.get_in(
                "GRPC_MAX_CONCURRENT_STREAMS",
                streams,
                1..=1_000_000,
            ),
            max_connections: reader.get_in(
                "GRPC_MAX_CONNECTIONS",
                defaults.max_connections,
                1..=1_000_000,
            ),
            ..defaults
        }
    }
}
