//! More connections than a service holds, which say nothing: they keep nobody out.

use futures::StreamExt;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpStream;

use dev::testing::Fault;

use crate::support::{Env, Loms, LomsClient, Rest, Servers, new_user, set};

const PLACES: usize = 500;
const SILENT: usize = 4_500;

async fn open(port: &str) -> Vec<TcpStream> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard.max(soft), hard).unwrap();
    let connect = |_| TcpStream::connect(format!("127.0.0.1:{port}"));
    let opened: Vec<_> =
        futures::stream::iter(0..SILENT).map(connect).buffer_unordered(64).collect().await;
    opened.into_iter().collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let few: Env = vec![set("GRPC_MAX_CONNECTIONS", PLACES), set("HTTP_MAX_CONNECTIONS", PLACES)];
    let shop = Loms::start(&Servers::from_env(), few).await;
    let sku = shop.stock(1_000).await;
    let grpc = open(&shop.grpc_port.to_string()).await;
    let base_url = shop.process.base_url();
    let http = open(base_url.rsplit(':').next().unwrap()).await;
    let fault = Fault::passed("4,500 silent connections to each port");
    fault
        .normal_when("new clients are served", async || {
            Rest::new(base_url.clone()).get(&format!("/v1/stocks/{sku}")).await.expect(200);
            LomsClient::new(shop.grpc_port).create(new_user(), &[(sku, 1)]).await
        })
        .await;
    drop((grpc, http));
}
