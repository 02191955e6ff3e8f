//! Starting and stopping a gRPC server on the current actix system.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use shared_actors::health::Health;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tonic_reflection::server::Builder as Reflection;

use super::GrpcServerSettings;
use super::call::{CallLayer, Calls};
use super::connections::accept;
use super::methods::Methods;
use crate::identity::Verifier;
use crate::limits::{Connections, RateLimits};
use crate::net::{End, Patience, Places, end_of, listen};
use crate::refusals::Refusals;
use crate::tls::Acceptor;

/// What a service passes to its gRPC front-end.
pub struct GrpcService {
    /// The tonic servers of the service.
    pub routes: Routes,
    /// What the standard health service reports. Calls get UNAVAILABLE until it has been ready
    /// once.
    pub health: Health,
    /// An encoded `FileDescriptorSet` with imports, for reflection and for method names in metrics.
    pub descriptors: &'static [u8],
    /// Checks who calls. Without it, everybody may call. Health and reflection are open to all.
    pub identity: Option<Verifier>,
}

/// A running gRPC server.
pub struct GrpcFrontEnd {
    /// The address that it listens on.
    pub address: SocketAddr,
    stopping: CancellationToken,
    server: JoinHandle<()>,
    stop_timeout: Duration,
    end: End,
}

impl GrpcFrontEnd {
    /// Completes when the server has ended, with the reason. Unless the server was stopped, the
    /// process has lost its port.
    pub fn ended(&self) -> impl Future<Output = io::Error> + use<> {
        self.end.clone().wait()
    }

    /// Stops accepting and finishes the calls in progress, within the stop timeout.
    pub async fn stop(self) {
        self.stopping.cancel();
        let abort = self.server.abort_handle();
        if tokio::time::timeout(self.stop_timeout, self.server).await.is_err() {
            tracing::warn!("calls were still open when the gRPC server stopped");
            abort.abort();
        }
    }
}

/// Listens and serves on the current thread's runtime, with the standard health service and
/// reflection (v1 and v1alpha).
///
/// # Errors
/// The address cannot be bound (the message names it), a file for TLS cannot be used, or the
/// descriptors are invalid.
pub async fn serve(
    settings: &GrpcServerSettings,
    service: GrpcService,
) -> io::Result<GrpcFrontEnd> {
    let listener = TcpListener::from_std(listen(settings.address)?)?;
    let address = listener.local_addr()?;
    let tls = settings.tls.as_ref().map(|files| Acceptor::new(files, b"h2")).transpose()?;
    let (methods, names) = Methods::read(service.descriptors).map_err(io::Error::other)?;
    let reporter = HealthReporter::new();
    let (stopping, ending) = (CancellationToken::new(), CancellationToken::new());
    let calls = Calls {
        methods,
        health: service.health.clone(),
        request_timeout: settings.request_timeout,
        refusals: Refusals::new(tokio::time::Instant::now()),
        ending: ending.clone(),
        identity: service.identity,
        limits: Arc::new(RateLimits::new(&settings.limits)),
    };
    let reflection = || {
        Reflection::configure()
            .register_encoded_file_descriptor_set(service.descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = service
        .routes
        .add_service(HealthServer::new(HealthService::from_health_reporter(reporter.clone())))
        .add_service(reflection().build_v1().map_err(io::Error::other)?)
        .add_service(reflection().build_v1alpha().map_err(io::Error::other)?);
    let patience = Patience {
        head: settings.head_timeout,
        idle: settings.idle_timeout,
        answer: settings.answer_timeout,
    };
    let server = Server::builder()
        .max_concurrent_streams(settings.max_concurrent_streams)
        .http2_keepalive_interval(Some(settings.keep_alive))
        .http2_max_header_list_size(16 * 1024)
        // Without a grace period: with one, tonic would cut the connection and never ask the client
        // to leave.
        .max_connection_age(settings.max_connection_age)
        .layer(CallLayer(Arc::new(calls)))
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            accept(
                listener,
                tls,
                Connections::new(&settings.limits),
                Places::new(settings.max_connections),
                patience,
            ),
            stopping.clone().cancelled_owned(),
        );
    let stopped = stopping.clone().cancelled_owned();
    let following = tokio::spawn(async move {
        tokio::select! {
            biased;
            () = follow(&service.health, &reporter, &names) => {}
            () = stopped => tell(&reporter, &names, ServingStatus::NotServing).await,
        }
        ending.cancel();
    });
    let (teller, end) = end_of(format!("the gRPC server at {address}"));
    let server = tokio::spawn(async move {
        teller.tell(server.await);
        following.abort();
    });
    Ok(GrpcFrontEnd { address, stopping, server, stop_timeout: settings.stop_timeout, end })
}

/// Reports readiness to the health service until `health` is dropped, for the server as a whole and
/// for each of its services.
async fn follow(health: &Health, reporter: &HealthReporter, names: &[String]) {
    let mut readiness = health.subscribe();
    loop {
        let is_ready = *readiness.borrow_and_update();
        let status = if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        tell(reporter, names, status).await;
        if readiness.changed().await.is_err() {
            return;
        }
    }
}

async fn tell(reporter: &HealthReporter, names: &[String], status: ServingStatus) {
    for name in names.iter().map(String::as_str).chain([""]) {
        reporter.set_service_status(name, status).await;
    }
}
