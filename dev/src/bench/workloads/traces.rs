//! What traces cost.

use anyhow::ensure;
use futures::FutureExt;

use super::orders::CONNECTIONS;
use super::reads::Echo;
use super::{Goal, Sample, Workload};
use crate::bench::shop::{Measured, Parts, SKUS, Shop};

pub const TRACES: Workload = Workload {
    name: "traces",
    what: "OrderCreate as in orders-of-many-skus, warm; loms records a tenth of the traces",
    limit: "the same without traces, before and after",
    goal: Goal::AtLeast(0.95),
    once: false,
    run: |servers, lasting| {
        async move {
            let receiver = Echo::start("").await?;
            let traces = vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", receiver.http)),
                ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio".to_owned()),
                ("OTEL_TRACES_SAMPLER_ARG", "0.1".to_owned()),
            ];
            let (mut loads, mut exported) = (Vec::new(), 0.0);
            // Before and after, because a shop that starts on a larger database is a little slower or faster.
            for loms in [Vec::new(), traces, Vec::new()] {
                let mut shop = Shop::start(servers, Parts { loms, ..Parts::default() }).await?;
                shop.create_orders(CONNECTIONS, SKUS, 128, lasting).await?;
                loads.push(shop.create_orders(CONNECTIONS, SKUS, 128, lasting).await?);
                exported += shop.counter(&["trace_spans_exported_total", "\"ok\""]).read().await?;
                shop.stop_services().await;
            }
            let rate = |load: &Measured| load.succeeded / load.load.seconds;
            let without = f64::midpoint(rate(&loads[0]), rate(&loads[2]));
            ensure!(exported > 0.0, "no span was exported");
            let note = Some(format!("{exported:.0} spans were exported"));
            Ok(vec![("", Sample { note, ..Sample::rate(&loads[1], Some(without)) })])
        }
        .boxed_local()
    },
};
