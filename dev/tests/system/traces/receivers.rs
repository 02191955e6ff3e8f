//! A receiver that is unreachable, or that accepts connections and never answers.

use std::net::TcpListener;

use crate::support::{Env, Loms, SOON, Servers, eventually, free_port, new_user, set};

async fn sells_as_ever(endpoint: String, protocol: &str) {
    let more: Env = vec![
        set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        set("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        set("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
        set("OTEL_BSP_SCHEDULE_DELAY", "100"),
        set("RUST_LOG", "info"),
    ];
    let mut loms = Loms::start(&Servers::from_env(), more).await;
    let sku = loms.stock(1000).await;
    let warning = "traces cannot be exported";
    eventually(SOON, "the log tells that traces go nowhere", async || {
        let order = loms.client().create(new_user(), &[(sku, 1)]).await.unwrap();
        loms.client().cancel(order).await.unwrap();
        loms.process.log().contains(warning)
    })
    .await;
    eventually(SOON, "more exports have failed", async || {
        loms.client().info(1001).await.ok();
        let page = loms.gateway().get("/metrics").await.expect(200).body;
        let failed = page
            .lines()
            .find(|line| line.starts_with("trace_spans_exported_total{outcome=\"error\"}"));
        failed
            .and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .is_some_and(|failed| failed > 100.0)
    })
    .await;
    assert!(loms.process.terminate().await.success());
    let log = loms.process.log();
    assert_eq!(log.matches(warning).count(), 1, "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

#[tokio::test]
async fn a_receiver_that_is_away_is_told_once_and_disturbs_nobody() {
    sells_as_ever(format!("http://127.0.0.1:{}", free_port()), "grpc").await;
}

#[tokio::test]
async fn a_receiver_that_never_answers_disturbs_nobody() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    sells_as_ever(format!("http://{}", silent.local_addr().unwrap()), "http/protobuf").await;
}
