//! The connection to a receiver of traces that is cut silently.

use std::time::Duration;

use dev::testing::{Fault, Proxy};
use tokio::time::timeout;

use crate::support::{Collector, Env, Loms, SOON, Servers, Trace, eventually, set};

/// A trace that has not arrived by then is taken for lost.
const ARRIVAL: Duration = Duration::from_secs(1);

/// Exports traces by way of a proxy, silences the connection, and waits for a trace that was begun after that.
async fn a_silent_connection_is_replaced(collector: Collector) {
    let proxy = Proxy::to(&collector.address());
    let more: Env =
        [collector.settings_by(&proxy.address()), vec![set("OTEL_EXPORTER_OTLP_TIMEOUT", "2000")]]
            .concat();
    let loms = Loms::start(&Servers::from_env(), more).await;
    let arrives = async |within| {
        let trace = Trace::begin();
        loms.client().with("traceparent", &trace.traceparent()).info(1001).await.ok();
        let arrived = async || !collector.trace(trace.id()).is_empty();
        timeout(within, eventually(SOON, "the trace arrives", arrived)).await.is_ok()
    };
    assert!(arrives(SOON).await, "a trace arrives before the fault");

    proxy.silence();
    Fault::passed("a silent connection to the receiver of traces")
        .normal_when("traces arrive", async || arrives(ARRIVAL).await)
        .await;
    assert!(arrives(SOON).await, "and so does the next one");
}

#[tokio::test]
async fn a_silent_connection_to_a_receiver_by_grpc_is_replaced() {
    a_silent_connection_is_replaced(Collector::start().await).await;
}

#[tokio::test]
async fn a_silent_connection_to_a_receiver_by_http_is_replaced() {
    a_silent_connection_is_replaced(Collector::start_http()).await;
}
