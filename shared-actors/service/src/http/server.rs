//! Starting and stopping an HTTP server on the current actix system.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService as Http;
use actix_http::error::DispatchError;
use actix_server::{Server, ServerHandle};
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::web::ServiceConfig;
use shared_actors::health::Health;
use shared_actors::watchdog::Heartbeat;
use tokio::net::TcpStream;
use tokio::time::Instant;
use utoipa::openapi::OpenApi;

use super::app::app;
use super::{ErrorBody, HttpServerSettings};
use crate::net::{Connection, End, Patience, Places, Protocol, end_of, listen};
use crate::refusals::Refusals;

/// How long a client has to read a refusal that was sent before its body was read.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What a service passes to its HTTP front-end, in addition to the routes.
#[derive(Clone)]
pub struct HttpService {
    /// What `/readyz` reports. API routes answer 503 until it has been ready once.
    pub health: Health,
    /// Served as `/openapi.json` and shown under `/swagger-ui/`.
    pub openapi: OpenApi,
    /// How the service formats an error.
    pub errors: ErrorBody,
}

/// A running HTTP server.
#[derive(Clone)]
pub struct HttpFrontEnd {
    /// The address that it listens on.
    pub address: SocketAddr,
    handle: ServerHandle,
    end: End,
}

impl HttpFrontEnd {
    /// Completes when the server has ended, with the reason. Unless the server was stopped, the
    /// process has lost its port.
    pub fn ended(&self) -> impl Future<Output = io::Error> + use<> {
        self.end.clone().wait()
    }

    /// Stops accepting, finishes the requests in progress within the stop timeout, and closes.
    pub async fn stop(self) {
        self.handle.stop(true).await;
    }
}

/// Listens and serves on the current actix system. `configure` runs once per worker and adds the
/// service's routes.
///
/// # Errors
/// The address cannot be bound; the message names it.
pub fn serve<C>(
    settings: &HttpServerSettings,
    service: HttpService,
    configure: C,
) -> io::Result<HttpFrontEnd>
where
    C: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let listener = listen(settings.address)?;
    let address = listener.local_addr()?;
    let connections_each = settings.max_connections.div_ceil(settings.workers);
    let builder = Server::build()
        .workers(settings.workers)
        // One more than there are places: it waits for the place of a silent connection.
        .max_concurrent_connections(connections_each + 1)
        .shutdown_timeout(settings.stop_timeout.as_secs().max(1))
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    // Shared by all workers.
    let refusals = Arc::new(Refusals::new(Instant::now()));
    let settings = settings.clone();
    let server = builder.listen("http", listener, move || {
        actix_rt::spawn(Heartbeat::of_event_loop("http"));
        let (settings, service, configure) = (settings.clone(), service.clone(), configure.clone());
        let (stopping, refusals) = (stopping.clone(), Arc::clone(&refusals));
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
            .h1(map_config(app(&settings, service, refusals.clone(), configure), |()| {
                AppConfig::default()
            }));
        let places = Places::new(connections_each);
        fn_service(move |stream: TcpStream| {
            let places = places.clone();
            async move {
                let peer = stream.peer_addr().ok();
                let admitted = Connection::admit(stream, Protocol::Http1, patience, &places).await;
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
    Ok(HttpFrontEnd { address, handle, end })
}
