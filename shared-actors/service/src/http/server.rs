//! Starting and stopping an HTTP server on the current actix system.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService as Http;
use actix_http::error::DispatchError;
use actix_server::{Server, ServerHandle};
use actix_service::{ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, ServiceRequest, ServiceResponse};
use actix_web::web::ServiceConfig;
use actix_web::{App, Error};
use futures::future::OptionFuture;
use shared_actors::health::Health;
use shared_actors::watchdog::Heartbeat;
use tokio::net::TcpStream;
use tokio::time::Instant;
use utoipa::openapi::OpenApi;

use super::app::{app, operations_app};
use super::{ErrorBody, HttpServerSettings};
use crate::identity::Verifier;
use crate::limits::{ClientLimits, Connections, RateLimits};
use crate::net::{Connection, End, Incoming, Patience, Places, Protocol, end_of, listen};
use crate::refusals::Refusals;
use crate::tls::Acceptor;

/// How long a client has to read a refusal that was sent before its body was read.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The maximum number of connections to the port of the operational routes.
const OPERATIONS_CONNECTIONS: usize = 64;

/// What a service passes to its HTTP front-end, in addition to the routes.
#[derive(Clone)]
pub struct HttpService {
    /// What `/readyz` reports. API routes answer 503 until it has been ready once.
    pub health: Health,
    /// Served as `/openapi.json` and shown under `/swagger-ui/`.
    pub openapi: OpenApi,
    /// How the service formats an error.
    pub errors: ErrorBody,
    /// Checks who calls. Without it, everybody may call.
    pub identity: Option<Verifier>,
}

/// A running HTTP server.
#[derive(Clone)]
pub struct HttpFrontEnd {
    /// The address that it listens on.
    pub address: SocketAddr,
    handle: ServerHandle,
    end: End,
    /// The server of the operational routes, if they have their own.
    operations: Option<Box<HttpFrontEnd>>,
}

impl HttpFrontEnd {
    /// The address of `/livez`, `/readyz` and `/metrics`.
    pub fn operations_address(&self) -> SocketAddr {
        self.operations.as_ref().map_or(self.address, |operations| operations.address)
    }

    /// Completes when the server has ended, with the reason. Unless the server was stopped, the
    /// process has lost its port.
    pub fn ended(&self) -> impl Future<Output = io::Error> + use<> {
        let operations = self.operations.as_ref().map(|operations| operations.end.clone());
        let (own, operations) = (self.end.clone(), OptionFuture::from(operations.map(End::wait)));
        async move {
            tokio::select! {
                ended = own.wait() => ended,
                Some(ended) = operations => ended,
            }
        }
    }

    /// Stops accepting, finishes the requests in progress within the stop timeout, and closes. The
    /// operational routes answer until then.
    pub async fn stop(self) {
        self.handle.stop(true).await;
        if let Some(operations) = self.operations {
            operations.handle.stop(false).await;
        }
    }
}

/// Listens and serves on the current actix system. `configure` runs once per worker and adds the
/// service's routes.
///
/// # Errors
/// An address cannot be bound (the message names it), or a file for TLS cannot be used.
pub fn serve<C>(
    settings: &HttpServerSettings,
    service: HttpService,
    configure: C,
) -> io::Result<HttpFrontEnd>
where
    C: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let health = service.health.clone();
    let operations = settings.operations.map(|address| {
        let settings = HttpServerSettings {
            address,
            tls: None,
            workers: 1,
            max_connections: OPERATIONS_CONNECTIONS,
            limits: ClientLimits::default(),
            ..settings.clone()
        };
        run("operations", &settings, move || operations_app(&health))
    });
    let operations = operations.transpose()?.map(Box::new);
    // Shared by all workers.
    let refusals = Arc::new(Refusals::new(Instant::now()));
    let limits = Arc::new(RateLimits::new(&settings.limits));
    let own = settings.clone();
    let front = run("http", settings, move || {
        app(&own, service.clone(), Arc::clone(&refusals), Arc::clone(&limits), configure.clone())
    })?;
    Ok(HttpFrontEnd { operations, ..front })
}

/// Starts a server whose workers each serve an `application` of their own.
fn run<T, B>(
    name: &'static str,
    settings: &HttpServerSettings,
    application: impl Fn() -> App<T> + Clone + Send + 'static,
) -> io::Result<HttpFrontEnd>
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    let listener = listen(settings.address)?;
    let address = listener.local_addr()?;
    let tls = settings.tls.as_ref().map(|files| Acceptor::new(files, b"http/1.1")).transpose()?;
    let tls = tls.map(Arc::new);
    let connections = Connections::new(&settings.limits);
    let connections_each = settings.max_connections.div_ceil(settings.workers);
    let builder = Server::build()
        .workers(settings.workers)
        // One more than there are places: it waits for the place of a silent connection.
        .max_concurrent_connections(connections_each + 1)
        .shutdown_timeout(settings.stop_timeout.as_secs().max(1))
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let settings = settings.clone();
    let server = builder.listen(name, listener, move || {
        actix_rt::spawn(Heartbeat::of_event_loop(name));
        let (stopping, tls, connections) = (stopping.clone(), tls.clone(), connections.clone());
        let patience = Patience {
            head: settings.head_timeout,
            // actix closes idle connections gracefully. This is for one that idles in the middle of
            // a head.
            idle: settings.keep_alive + settings.head_timeout,
            answer: settings.answer_timeout,
        };
        let http = Http::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(settings.keep_alive)
            // A client that closes its side does not wait for the answer. Its request ends like any other
            // that is given up.
            .h1_allow_half_closed(false)
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(DISCONNECT_TIMEOUT)
            .local_addr(address)
            .on_connect_ext(|connection: &Connection, data| {
                data.insert(Arc::clone(connection.activity()));
            })
            .h1(map_config(application(), |()| AppConfig::default()));
        let places = Places::new(connections_each);
        fn_service(move |stream: TcpStream| {
            let places = places.clone();
            let peer = stream.peer_addr().ok();
            let incoming = Incoming::new(stream, tls.as_deref(), &connections);
            async move {
                let incoming = incoming.ok_or(DispatchError::DisconnectTimeout)?;
                let admitted =
                    Connection::admit(incoming, Protocol::Http1, patience, &places).await;
                admitted
                    .map(|connection| (connection, peer))
                    .ok_or(DispatchError::DisconnectTimeout)
            }
        })
        .and_then(http)
    })?;
    let server = server.run();
    let handle = server.handle();
    let (teller, end) = end_of(format!("the HTTP server at {address}"));
    actix_rt::spawn(async move { teller.tell(server.await) });
    Ok(HttpFrontEnd { address, handle, end, operations: None })
}
