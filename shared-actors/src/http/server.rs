//! Starting and stopping an HTTP server on the current actix system.

use std::io;
use std::net::{SocketAddr, TcpListener};

use actix_web::dev::ServerHandle;
use actix_web::web::{PathConfig, PayloadConfig, QueryConfig, ServiceConfig};
use actix_web::{App, HttpResponse, HttpServer, web};
use tracing_actix_web::TracingLogger;
use utoipa::openapi::OpenApi;

use super::body::BodyLimit;
use super::cors::cors;
use super::front::FrontEnd;
use super::span::RequestSpan;
use super::{ApiError, ErrorBody, HttpServerSettings, operations};
use crate::error::ErrorCode;
use crate::health::Health;

/// What a service gives its HTTP front-end, beside the routes.
#[derive(Clone)]
pub struct HttpService {
    /// What `/readyz` tells; API routes answer 503 until it has been ready once.
    pub health: Health,
    /// Served as `/openapi.json` and shown under `/swagger-ui/`.
    pub openapi: OpenApi,
    /// How the service writes an error.
    pub errors: ErrorBody,
}

/// A running HTTP server.
#[derive(Clone)]
pub struct HttpFrontEnd {
    /// Where it listens.
    pub address: SocketAddr,
    handle: ServerHandle,
}

impl HttpFrontEnd {
    /// Stops accepting, finishes what is being answered within the stop timeout, and closes.
    pub async fn stop(self) {
        self.handle.stop(true).await;
    }
}

/// Listens and serves, on the current actix system. `configure` runs once a worker and adds the service's routes.
///
/// # Errors
/// The address cannot be bound; the message names it.
pub fn serve<C>(settings: &HttpServerSettings, service: HttpService, configure: C) -> io::Result<HttpFrontEnd>
where
    C: Fn(&mut ServiceConfig) + Clone + Send + 'static,
{
    let wanted = settings.address;
    let listener = TcpListener::bind(wanted.socket_address())
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {wanted}: {error}")))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let limit = settings.body_limit_bytes;
    let front = FrontEnd {
        health: service.health.clone(),
        errors: service.errors,
        body_limit_bytes: limit,
        request_timeout: settings.request_timeout,
    };
    let origins = settings.allowed_origins.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(BodyLimit(limit))
            .app_data(PayloadConfig::new(limit))
            .app_data(
                PathConfig::default()
                    .error_handler(|error, request| ApiError::of_path(&error, request).into()),
            )
            .app_data(QueryConfig::default().error_handler(|error, _| {
                ApiError::new(ErrorCode::InvalidArgument, format!("the query: {error}")).into()
            }))
            .wrap(cors(&origins))
            .wrap(front.clone())
            .wrap(TracingLogger::<RequestSpan>::new())
            .configure(|config| operations::configure(config, &service.health, service.openapi.clone()))
            .configure(configure.clone())
            .default_service(web::to(|| async { HttpResponse::NotFound().finish() }))
    })
    .workers(settings.workers)
    .max_connections(settings.max_connections)
    .keep_alive(settings.keep_alive)
    .client_request_timeout(settings.head_timeout)
    .shutdown_timeout(settings.stop_timeout.as_secs().max(1))
    .tcp_nodelay(true)
    .disable_signals()
    .listen(listener)?
    .run();
    let handle = server.handle();
    actix_rt::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the HTTP server failed");
        }
    });
    Ok(HttpFrontEnd { address, handle })
}
