//! Who decides which traces are recorded.

use crate::support::{Collector, Env, Loms, SOON, Servers, Trace, eventually, new_user, set};

/// Creates an order within `traceparent` and returns the `traceparent` of its first event.
async fn create(loms: &Loms, sku: u32, traceparent: &str) -> String {
    let client = loms.client().with("traceparent", traceparent);
    let order = client.create(new_user(), &[(sku, 1)]).await.unwrap();
    loms.events().of_order(order, 2)[0].header("traceparent").to_owned()
}

/// Starts loms with these settings, and creates an order that must not be recorded and one that
/// must.
async fn records(more: Env, left_out: impl Fn(&Trace) -> String) {
    let collector = Collector::start().await;
    let loms = Loms::start(&Servers::from_env(), [collector.settings(), more].concat()).await;
    let sku = loms.stock(10).await;
    let (first, second) = (Trace::begin(), Trace::begin());
    let event = create(&loms, sku, &left_out(&first)).await;
    create(&loms, sku, &second.traceparent()).await;
    eventually(SOON, "the second order is recorded", async || {
        collector.trace(second.id()).iter().any(|span| span.name == "delete_outbox")
    })
    .await;
    let others: Vec<_> =
        collector.all().into_iter().filter(|span| span.trace != second.id()).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert!(event.ends_with("-00"), "{event} says that somebody records it");
}

#[tokio::test]
async fn a_client_that_does_not_record_its_trace_is_not_recorded() {
    records(Env::new(), |trace| trace.traceparent().replace("-01", "-00")).await;
}

#[tokio::test]
async fn the_standard_settings_decide_about_traces_that_begin_here() {
    let sampler = vec![
        set("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        set("OTEL_TRACES_SAMPLER_ARG", "0.0"),
    ];
    records(sampler, |_| "not a traceparent".to_owned()).await;
}
