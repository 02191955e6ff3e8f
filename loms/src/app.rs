//! The application: what runs, how its parts are connected, and how it stops.

pub(crate) mod identity;
mod prepare;
mod queries;
mod shards;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures::future::try_join_all;
use service_kit::database::{Migrations, Places};
use service_kit::grpc;
use service_kit::grpc::{GrpcFrontEnd, GrpcService};
use service_kit::http;
use service_kit::http::{HttpFrontEnd, HttpService};
use service_kit::identity::Verifier;
use service_kit::net::{TooFewDescriptors, provide_descriptors};
use shared_actors::health::Health;
use shared_actors::shutdown::Shutdown;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use self::identity::OrderShards;
use self::shards::Shards;
use crate::api::{self, gateway};
use crate::orders::Orders;
use crate::settings::Settings;
use crate::stock::Stocks;

pub(crate) use prepare::STOCK_SHARD;
pub use prepare::{ShardError, migrate};

/// Stopping takes at most this long. SIGTERM allows 20 s in total; the rest is for the last spans.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Why loms cannot start, or cannot go on running.
#[derive(Debug, Error)]
pub enum StartError {
    /// A port cannot be listened on, a listener failed later, or signals cannot be received.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The limit of open files leaves no room for clients.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// The certificate authorities for the keys of tokens cannot be used.
    #[error("JWT_CA_FILE: {0}")]
    Identity(#[from] reqwest::Error),
    /// A shard cannot be used as it is, and a retry would not help.
    #[error(transparent)]
    Shard(#[from] ShardError),
}

/// A running loms.
pub struct Application {
    http: HttpFrontEnd,
    grpc: GrpcFrontEnd,
    health: Health,
    shards: Shards,
    migrations: Migrations,
    places: Places<OrderShards>,
    key_ttl: Duration,
    orders: Orders,
    stocks: Stocks,
}

impl Application {
    /// Listens on its ports at once; databases and Kafka may become reachable later. Must be called
    /// on an actix `System`.
    ///
    /// # Errors
    /// `Io` if a port cannot be listened on. `Descriptors` if the limit of open files is too low.
    pub async fn build(settings: &Settings) -> Result<Self, StartError> {
        let (mut http, mut grpc) = (settings.http.clone(), settings.grpc.clone());
        provide_descriptors([&mut http.max_connections, &mut grpc.max_connections])?;
        let health = Health::new();
        let shards = Shards::start(settings, &health);
        let orders = Orders::new(
            settings.router,
            shards.all.iter().map(|shard| shard.orders.clone()).collect(),
        );
        let stocks = Stocks::new(shards.stock.clone());

        let identity = settings.identity.as_ref().map(Verifier::new).transpose()?;
        let service = GrpcService {
            routes: api::grpc::routes(orders.clone(), stocks.clone()),
            health: health.clone(),
            descriptors: loms_proto::FILE_DESCRIPTOR_SET,
            identity: identity.clone(),
        };
        let grpc = grpc::serve(&grpc, service).await?;
        let service = HttpService {
            health: health.clone(),
            openapi: api::openapi(),
            errors: gateway::error_body,
            identity,
        };
        let state = gateway::GatewayState { orders: orders.clone(), stocks: stocks.clone() };
        let http = http::serve(&http, service, move |config| gateway::configure(config, &state))?;
        info!(http = %http.address, grpc = %grpc.address, shards = settings.shards.len(), "loms started");
        let migrations =
            if settings.migrate_on_start { Migrations::Apply } else { Migrations::Await };
        let (places, key_ttl) = (prepare::places(settings), settings.key_ttl);
        Ok(Self { http, grpc, health, shards, migrations, places, key_ttl, orders, stocks })
    }

    /// The address that HTTP listens on.
    pub fn http_address(&self) -> SocketAddr {
        self.http.address
    }

    /// The address that gRPC listens on.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc.address
    }

    /// The health of all components.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The use cases of orders, for callers in this process.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// The use cases of the stock, for callers in this process.
    pub fn stocks(&self) -> &Stocks {
        &self.stocks
    }

    /// Runs until SIGTERM or SIGINT, then stops in order: work that has begun is finished first.
    ///
    /// # Errors
    /// `Shard` if a shard cannot be used as it is. `Io` if a listener fails or signals cannot be
    /// received.
    pub async fn run_until_stopped(self) -> Result<(), StartError> {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stopped = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        self.run_until(stopped).await
    }

    /// Runs until `stopped` completes, then stops in order.
    ///
    /// # Errors
    /// `Shard` if a shard cannot be used as it is. `Io` if a listener fails.
    pub async fn run_until(self, stopped: impl Future<Output = ()>) -> Result<(), StartError> {
        let outcome = tokio::select! {
            failure = self.work() => Err(failure.into()),
            ended = self.http.ended() => Err(ended.into()),
            ended = self.grpc.ended() => Err(ended.into()),
            () = stopped => Ok(()),
        };
        self.stop().await;
        info!("loms stopped");
        outcome
    }

    /// Prepares each shard, starts its work, and watches its database. Returns only when a shard
    /// cannot be used.
    async fn work(&self) -> ShardError {
        let at_work = self.shards.all.iter().map(async |shard| {
            let former =
                prepare::prepare(shard, &self.places, self.migrations, self.key_ttl).await?;
            if shard.index == STOCK_SHARD {
                // Shard 0 is part of every layout, and no order can be created before its actors
                // begin.
                self.orders.moved_from(former);
            }
            self.shards.begin(shard);
            self.shards.watch(shard).await;
            Ok::<(), ShardError>(())
        });
        match try_join_all(at_work).await {
            Err(error) => error,
            Ok(_) => futures::future::pending().await,
        }
    }

    async fn stop(self) {
        let Self { http, grpc, health, shards, .. } = self;
        health.stopping();
        let shards = Rc::new(shards);
        let each = || Rc::clone(&shards);
        let (sweepers, orders, stock, relays, producers, pools) =
            (each(), each(), each(), each(), each(), each());
        Shutdown::new(STOP_WITHIN)
            .step("front-ends", async {
                futures::join!(http.stop(), grpc.stop());
            })
            .step("sweepers", async move { sweepers.stop_sweepers().await })
            .step("orders", async move { orders.drain_orders().await })
            .step("stock", async move { stock.stock.drain().await })
            .step("relays", async move { relays.stop_relays().await })
            .step("producers", async move { producers.drain_producers().await })
            .step("databases", async move { pools.close_pools().await })
            .run()
            .await;
    }
}
