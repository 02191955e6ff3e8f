//! Clients that do not wait are counted, but not as errors of the service.

use std::time::Duration;

use dev::testing::{Proxy, ServiceProcess};
use sqlx::{Connection, Executor};
use tonic::Code;

use crate::support::{Answer, Env, Loms, LomsClient, SOON, Servers, eventually, set};

const METHOD: &str = "/Loms/StocksInfo";
const ROUTE: &str = "/v1/stocks/{sku}";

async fn counted(shop: &Loms, url: &str, status: &str) -> f64 {
    shop.samples().await.sum("api_requests_total", &[("url", url), ("status", status)])
}

async fn becomes(shop: &Loms, url: &str, status: &str, expected: f64) {
    eventually(SOON, &format!("{url} has {status} {expected} times"), async || {
        let found = counted(shop, url, status).await;
        if (found - expected).abs() < 0.5 { Ok(()) } else { Err(found) }
    })
    .await;
}

fn failed_lines(process: &ServiceProcess, text: &str) -> usize {
    process.log().lines().filter(|line| line.contains("ERROR") && line.contains(text)).count()
}

#[tokio::test]
async fn a_client_that_does_not_wait_is_counted_once_and_is_no_fault() {
    let limit: Env = vec![set("REQUEST_TIMEOUT", "3s")];
    let shop = Loms::start(&Servers::from_env(), limit).await;
    let sku = shop.stock(10).await;
    let mut blocker = shop.shards[0].connect().await;
    blocker.execute("begin; lock table stock in access exclusive mode").await.unwrap();

    // The client allows too little time.
    let hasty = shop.client().with("grpc-timeout", "200m").available(sku).await.unwrap_err();
    assert!([Code::DeadlineExceeded, Code::Cancelled].contains(&hasty.code()), "{hasty}");
    becomes(&shop, METHOD, "CANCELLED", 1.0).await;
    let hasty = shop.gateway().request(reqwest::Method::GET, &format!("/v1/stocks/{sku}"));
    Answer::of(hasty.header("grpc-timeout", "200m")).await.expect_gateway_error(504, 4);
    becomes(&shop, ROUTE, "499", 1.0).await;

    // The client cancels.
    let client = shop.client();
    tokio::time::timeout(Duration::from_millis(200), client.available(sku)).await.unwrap_err();
    becomes(&shop, METHOD, "CANCELLED", 2.0).await;

    // The client's connection breaks. Wait for the earlier calls to end first, so that this call
    // can be recognized.
    let running = async || {
        let samples = shop.samples().await;
        let of = |family| samples.sum(family, &[("actor", "stock_reads")]);
        of("actor_messages_in_flight") + of("actor_mailbox_depth")
    };
    eventually(SOON, "nothing is asked for", async || running().await < 0.5).await;
    let proxy = Proxy::to(&format!("127.0.0.1:{}", shop.grpc_port));
    let port = proxy.address().rsplit(':').next().unwrap().parse().unwrap();
    let asked = tokio::spawn(async move { LomsClient::new(port).available(sku).await });
    eventually(SOON, "the call has come", async || running().await > 0.5).await;
    proxy.cut();
    asked.await.unwrap().unwrap_err();
    becomes(&shop, METHOD, "CANCELLED", 3.0).await;

    for (url, status) in [(METHOD, "DEADLINE_EXCEEDED"), (ROUTE, "504")] {
        assert!(counted(&shop, url, status).await < 0.5, "{status} is a fault of ours");
    }
    assert_eq!(failed_lines(&shop.process, "DEADLINE_EXCEEDED"), 0, "{}", shop.process.log());
    blocker.close().await.unwrap();
}

#[tokio::test]
async fn many_failures_of_a_second_share_one_line() {
    let limit: Env = vec![set("REQUEST_TIMEOUT", "1s")];
    let shop = Loms::start(&Servers::from_env(), limit).await;
    let (client, sku) = (shop.client(), shop.stock(10).await);
    let mut blocker = shop.shards[0].connect().await;
    blocker.execute("begin; lock table stock in access exclusive mode").await.unwrap();
    let answers = futures::future::join_all((0..200).map(|_| client.available(sku))).await;
    assert!(answers.iter().all(Result::is_err));
    eventually(SOON, "the others share a line", async || {
        let log = shop.process.log();
        if log.contains("more lines like this one were left out") { Ok(()) } else { Err(log) }
    })
    .await;
    let lines = failed_lines(&shop.process, "request failed");
    assert!(lines <= 50, "{lines} lines for 200 failures");
    blocker.close().await.unwrap();
}
