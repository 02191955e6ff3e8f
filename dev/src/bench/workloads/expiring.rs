//! Creating orders while earlier ones expire.

use anyhow::{Result, ensure};
use futures::FutureExt;

use super::orders::CONNECTIONS;
use super::{Goal, Sample, Workload};
use crate::bench::shop::{Parts, SKUS, Shop};

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
            let first = shop.create_orders(CONNECTIONS, SKUS, 128, lasting).await?;
            let cancelled = shop.counter(&["swept_total", "payment"]);
            let begun = cancelled.read().await?;
            let load = async {
                let second = shop.create_orders(CONNECTIONS, SKUS, 128, lasting);
                let (late, second) = futures::join!(late_after(&shop, lasting), second);
                Ok::<_, anyhow::Error>((late?, second?))
            };
            let (late, second) = load.await?;
            let expired = cancelled.read().await? - begun;
            ensure!(expired > 0.0, "no order expired");
            let note =
                format!("{expired:.0} orders expired; {late} were late at the end of the load");
            let sample = Sample::rate(&second, Some(first.succeeded / first.load.seconds));
            Ok(vec![("", Sample { note: Some(note), ..sample })])
        }
        .boxed_local()
    },
};

/// How many orders should have been cancelled by then, but are not.
async fn late_after(shop: &Shop, time: std::time::Duration) -> Result<i64> {
    tokio::time::sleep(time).await;
    let mut late = 0;
    for shard in &shop.shards {
        let unpaid =
            "SELECT count(*) FROM orders WHERE state = 'AWAITING_PAYMENT' AND pay_before < now()";
        late += sqlx::query_scalar::<_, i64>(unpaid).fetch_one(&mut shard.connect().await).await?;
    }
    Ok(late)
}
