//! Threads that hang and servers that end. Nothing within the process can mend that, so the process
//! exits and is started again.

use std::time::Duration;

use dev::testing::{Fault, Servers, ServiceProcess, unique_topic};
use futures::future::join_all;
use reqwest::Method;

use crate::support::{Loms, Notifier, SOON, eventually, new_user, send, set};

/// Longer than any call of librdkafka may take.
const LONG: Duration = Duration::from_mins(2);

#[tokio::test]
async fn a_loms_whose_server_ends_by_itself_says_so_and_ends() {
    let panics = vec![set("FAILPOINTS", "grpc::accepting=1*off->panic")];
    let mut shop = Loms::start(&Servers::from_env(), panics).await;
    let _ = shop.client().all().await;
    let status = eventually(SOON, "the process ends", async || shop.process.exited()).await;
    assert_eq!(status.code(), Some(1), "{status}");
    let log = shop.process.log();
    assert!(log.contains("the gRPC server at"), "{log}");
}

#[tokio::test]
async fn a_loms_whose_actors_hang_ends_and_works_again_once_it_is_started_again() {
    let hang = vec![
        set("THREAD_TIMEOUT", "2s"),
        // The thread sleeps in the middle of the fourth order, far longer than the test takes.
        set("FAILPOINTS", "create::reserved=3*off->sleep(600000)"),
    ];
    let mut shop = Loms::start(&Servers::from_env(), hang).await;
    let sku = shop.stock(10).await;
    let loms = shop.client();
    for _ in 0..3 {
        loms.create(new_user(), &[(sku, 1)]).await.unwrap();
    }
    let order = async || loms.create(new_user(), &[(sku, 1)]).await;
    let status =
        async { eventually(SOON, "the process ends", async || shop.process.exited()).await };
    let (refused, status) = tokio::join!(order(), status);
    refused.unwrap_err();
    assert_eq!(status.code(), Some(1), "{status}");
    let log = shop.process.log();
    assert!(log.contains("thread `main` has hung"), "{log}");
    shop.process.restart().await;
    Fault::passed("a thread that hangs")
        .normal_when("orders are created", async || order().await.is_ok())
        .await;
}

/// Waits until the process has ended because its thread `name` hung.
async fn ends(process: &mut ServiceProcess, name: &str) {
    let what = format!("the process ends because of {name}");
    let status = eventually(LONG, &what, async || process.exited()).await;
    assert_eq!(status.code(), Some(1), "{status}");
    let log = process.log();
    assert!(log.contains(&format!("thread `{name}` has hung")), "{log}");
}

#[tokio::test]
async fn a_loms_whose_http_thread_hangs_ends() {
    let hang = vec![set("THREAD_TIMEOUT", "2s"), set("FAILPOINTS", "http::calling=sleep(600000)")];
    let mut loms = Loms::start(&Servers::from_env(), hang).await;
    let gateway = loms.gateway();
    let call = gateway.request(Method::GET, "/v1/orders/1000").send();
    let (call, ()) = tokio::join!(call, ends(&mut loms.process, "http"));
    call.unwrap_err();
}

#[tokio::test]
async fn a_notifier_with_a_kafka_thread_that_hangs_ends() {
    // They hang once the notifier is ready: the reader polls every 100 ms, the committer once per
    // second, and the producer has nothing to publish before.
    let hangs = [
        ("kafka_consumer", "consumer::reading=150*off->sleep(600000)"),
        ("kafka_committer", "consumer::committing=10*off->sleep(600000)"),
        ("kafka_producer", "producer::publishing=sleep(600000)"),
    ];
    join_all(hangs.map(async |(thread, hang)| {
        let servers = Servers::from_env();
        let topic = unique_topic(&servers.kafka, 2).await;
        let settings = vec![set("THREAD_TIMEOUT", "2s"), set("FAILPOINTS", hang)];
        let mut notifier = Notifier::start(&servers, &topic.name, settings).await;
        // It becomes a dead letter.
        send(&servers.kafka, &topic.name, "1", "not an event", None).await;
        ends(&mut notifier.process, thread).await;
    }))
    .await;
}
