//! Reading an order, and how much of a SKU is left.

use std::time::Duration;

use anyhow::Result;
use futures::FutureExt;
use loms_proto::{OrderInfoRequest, StocksInfoRequest};
use prost::Message;

use super::{Goal, Sample, Workload};
use crate::bench::generators::{Load, Method, h2load};
use crate::bench::shop::{Measured, Parts, Shop};
use crate::stack::process::Process;
use crate::testing::issuer::{AUDIENCE, ISSUER};
use crate::testing::{Issuer, Servers, free_port};

const CONNECTIONS: usize = 4;
const LIMIT: &str = "a bare tonic server with the same answer";

pub const ORDER_INFO: Workload = Workload {
    name: "order-info",
    what: "OrderInfo, 64 in flight",
    limit: LIMIT,
    goal: Goal::AtLeast(0.6),
    once: false,
    run: |servers, lasting| {
        async move {
            let shop = Shop::start(servers, Parts::default()).await?;
            shop.create_orders(1, 1, 1, Duration::from_secs(1)).await?;
            let mut connection = shop.shards[0].connect().await;
            let first = "SELECT min(id) FROM orders";
            let mut id: Option<i64> = sqlx::query_scalar(first).fetch_one(&mut connection).await?;
            if id.is_none() {
                let mut connection = shop.shards[1].connect().await;
                id = sqlx::query_scalar(first).fetch_one(&mut connection).await?;
            }
            let request = OrderInfoRequest { order_id: id.unwrap_or_default() };
            read(shop, "OrderInfo", request.encode_to_vec(), lasting).await
        }
        .boxed_local()
    },
};

pub const STOCKS_INFO: Workload = Workload {
    name: "stocks-info",
    what: "StocksInfo, 64 in flight",
    limit: LIMIT,
    goal: Goal::AtLeast(0.6),
    once: false,
    run: |servers, lasting| {
        async move {
            let shop = Shop::start(servers, Parts::default()).await?;
            let request = StocksInfoRequest { sku: 1 };
            read(shop, "StocksInfo", request.encode_to_vec(), lasting).await
        }
        .boxed_local()
    },
};

async fn read(
    mut shop: Shop,
    method: &str,
    message: Vec<u8>,
    lasting: Duration,
) -> Result<Vec<(&'static str, Sample)>> {
    let path = format!("/Loms/{method}");
    let messages = vec![message; CONNECTIONS];
    let load = async |port| h2load(grpc_method(port, &path, None), &messages, 64, lasting).await;
    let parts = ["api_requests_total", method, "\"OK\""];
    let ours = shop.measure(&shop.counter(&parts), load(shop.grpc)).await?;
    shop.stop_services().await;
    let echo = Echo::start("").await?;
    let limit: Load = load(echo.grpc).await?;
    Ok(vec![("", Sample::rate(&ours, Some(limit.per_second())))])
}

fn grpc_method<'a>(port: u16, path: &'a str, token: Option<&'a str>) -> Method<'a> {
    Method { port, path, per_second: None, token }
}

pub const IDENTITY: Workload = Workload {
    name: "identity",
    what: "StocksInfo, 64 in flight, with a token and limits for its user and address",
    limit: "the same without them, before and after",
    goal: Goal::AtLeast(0.8),
    once: false,
    run: |servers, lasting| {
        async move {
            let issuer = Issuer::new();
            let token = issuer.token("1", "");
            let unreached = "1000000".to_owned();
            let guarded = vec![
                ("JWT_JWKS_FILE", issuer.file().display().to_string()),
                ("JWT_ISSUER", ISSUER.to_owned()),
                ("JWT_AUDIENCE", AUDIENCE.to_owned()),
                ("GRPC_RATE_LIMIT_PER_ADDRESS", unreached.clone()),
                ("GRPC_RATE_LIMIT_PER_USER", unreached),
            ];
            let messages = vec![StocksInfoRequest { sku: 1 }.encode_to_vec(); CONNECTIONS];
            let succeeded = ["api_requests_total", "StocksInfo", "\"OK\""];
            let mut rates = Vec::new();
            for loms in [Vec::new(), guarded, Vec::new()] {
                let token = (!loms.is_empty()).then_some(token.as_str());
                let mut shop = Shop::start(servers, Parts { loms, ..Parts::default() }).await?;
                let load = h2load(
                    grpc_method(shop.grpc, "/Loms/StocksInfo", token),
                    &messages,
                    64,
                    lasting,
                );
                rates.push(shop.measure(&shop.counter(&succeeded), load).await?);
                shop.stop_services().await;
            }
            let rate = |measured: &Measured| measured.succeeded / measured.load.seconds;
            let without = f64::midpoint(rate(&rates[0]), rate(&rates[2]));
            Ok(vec![("", Sample::rate(&rates[1], Some(without)))])
        }
        .boxed_local()
    },
};

/// A process that answers the same bytes and does nothing else.
pub struct Echo {
    pub grpc: u16,
    pub http: u16,
    _process: Process,
}

impl Echo {
    /// Starts it with this HTTP answer.
    pub async fn start(answer: &str) -> Result<Self> {
        let (grpc, http) = (free_port(), free_port());
        let folder = Servers::from_env().bin_dir;
        let log = std::env::temp_dir().join("bench-echo.log");
        let mut process = crate::stack::program::Program::new("echo", folder.join("bench"), log)
            .args(["echo", &grpc.to_string(), &http.to_string(), answer])
            .port(grpc)
            .start()?;
        let connected = async || {
            tokio::net::TcpStream::connect(("127.0.0.1", grpc)).await?;
            tokio::net::TcpStream::connect(("127.0.0.1", http)).await?;
            Ok(())
        };
        process.until_ready(Duration::from_secs(10), connected).await?;
        Ok(Self { grpc, http, _process: process })
    }
}
