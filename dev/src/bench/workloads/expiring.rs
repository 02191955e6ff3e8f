//! Creating orders while earlier ones expire.

use anyhow::ensure;
use futures::FutureExt;

use super::orders::CONNECTIONS;
use super::{Goal, Sample, Workload};
use crate::bench::generators::h2load;
use crate::bench::shop::{Parts, SKUS, Shop, create_order, orders};

pub const EXPIRING: Workload = Workload {
    name: "expiring",
    what: "OrderCreate as in orders-of-many-skus, while the orders of the load before expire as fast as they arrived",
    limit: "the load before, without expiring orders",
    goal: Goal::AtLeast(0.7),
    once: false,
    run: |servers, lasting| {
        async move {
            let loms = vec![("ORDER_PAYMENT_TTL", format!("{}s", lasting.as_secs()))];
            let shop = Shop::start(servers, Parts { loms, ..Parts::default() }).await?;
            let messages = orders(CONNECTIONS, SKUS);
            let load = || h2load(create_order(shop.grpc), &messages, 128, lasting);
            let cancelled = shop.counter(&["swept_total", "payment"]);
            let created = shop.counter(&["api_requests_total", "OrderCreate", "\"OK\""]);
            let first = load().await?;
            // The second load follows at once, so the orders of the first expire during it.
            let (mut expired, mut late) = (0.0, 0);
            let second = async {
                let before = cancelled.read().await?;
                let second = load().await?;
                expired = cancelled.read().await? - before;
                late = shop.count(OVERDUE).await?;
                Ok(second)
            };
            let second = shop.measure(&created, second).await?;
            ensure!(expired > first.answers as f64 / 2.0, "only {expired} orders expired in time");
            let note =
                format!("{expired:.0} orders expired; {late} were late at the end of the load");
            let sample = Sample::rate(&second, Some(first.per_second()));
            Ok(vec![("", Sample { note: Some(note), ..sample })])
        }
        .boxed_local()
    },
};

/// Orders that should have been cancelled, but are not.
const OVERDUE: &str =
    "SELECT count(*) FROM orders WHERE state = 'AWAITING_PAYMENT' AND pay_before < now()";
