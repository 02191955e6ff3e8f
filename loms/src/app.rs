//! The application: everything that runs, how it is put together, and how it stops.

pub(crate) mod identity;
mod places;
mod prepare;
mod shards;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures::future::try_join_all;
use shared_actors::database::Migrations;
use shared_actors::grpc::{self, GrpcFrontEnd, GrpcService};
use shared_actors::health::Health;
use shared_actors::http::{self, HttpFrontEnd, HttpService};
use shared_actors::net::{TooFewDescriptors, provide_descriptors};
use shared_actors::shutdown::Shutdown;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::api::{self, gateway};
use crate::orders::Orders;
use crate::settings::Settings;
use crate::stock::Stocks;
use places::Places;
use shards::Shards;

pub(crate) use prepare::STOCK_SHARD;
pub use prepare::{ShardError, migrate};

/// Stopping takes at most so long; what is left of the 20 s after SIGTERM is for the last spans.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Why loms cannot run.
#[derive(Debug, Error)]
pub enum StartError {
    /// A port cannot be listened on, or not any more, or signals cannot be received.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is no room for clients.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
    /// A shard can never be used as it is.
    #[error(transparent)]
    Shard(#[from] ShardError),
}

/// A loms that runs.
pub struct Application {
    http: HttpFrontEnd,
    grpc: GrpcFrontEnd,
    health: Health,
    shards: Shards,
    migrations: Migrations,
    places: Places,
    orders: Orders,
    stocks: Stocks,
}

impl Application {
    /// Listens on its ports at once; everything else may come up later. To be called on an actix System.
    ///
    /// # Errors
    /// A port cannot be listened on.
    pub async fn build(settings: &Settings) -> Result<Self, StartError> {
        let (mut http, mut grpc) = (settings.http.clone(), settings.grpc.clone());
        provide_descriptors([&mut http.max_connections, &mut grpc.max_connections])?;
        let health = Health::new();
        let shards = Shards::start(settings, &health);
        let orders =
            Orders::new(settings.router, shards.all.iter().map(|shard| shard.orders.clone()).collect());
        let stocks = Stocks::new(shards.stock.clone());

        let service = GrpcService {
            routes: api::grpc::routes(orders.clone(), stocks.clone()),
            health: health.clone(),
            descriptors: api::FILE_DESCRIPTOR_SET,
        };
        let grpc = grpc::serve(&grpc, service).await?;
        let service =
            HttpService { health: health.clone(), openapi: api::openapi(), errors: gateway::error_body };
        let state = gateway::GatewayState { orders: orders.clone(), stocks: stocks.clone() };
        let http = http::serve(&http, service, move |config| gateway::configure(config, &state))?;
        info!(http = %http.address, grpc = %grpc.address, shards = settings.shards.len(), "loms started");
        let migrations = if settings.migrate_on_start { Migrations::Apply } else { Migrations::Await };
        let places = Places::new(settings);
        Ok(Self { http, grpc, health, shards, migrations, places, orders, stocks })
    }

    /// Where the HTTP port listens.
    pub fn http_address(&self) -> SocketAddr {
        self.http.address
    }

    /// Where gRPC listens.
    pub fn grpc_address(&self) -> SocketAddr {
        self.grpc.address
    }

    /// Whether the parts work.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The use cases of orders, for who is in this process.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// The use cases of the stock, for who is in this process.
    pub fn stocks(&self) -> &Stocks {
        &self.stocks
    }

    /// Runs until SIGTERM or SIGINT, then stops in order: nothing that was begun is left half done.
    ///
    /// # Errors
    /// A shard can never be used as it is.
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

    /// Runs until `stopped`, then stops in order.
    ///
    /// # Errors
    /// A shard can never be used as it is.
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

    /// Prepares each shard, lets it work, and keeps an eye on its database; ends only when a shard cannot be used.
    async fn work(&self) -> ShardError {
        let at_work = self.shards.all.iter().map(async |shard| {
            let former = prepare::prepare(shard, &self.places, self.migrations).await?;
            if shard.index == STOCK_SHARD {
                // It is part of every layout, and nobody can order before it has begun.
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
