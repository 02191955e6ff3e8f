//! More than a service admits: refused at once with a time to come back, and what was admitted is done.

use std::time::{Duration, Instant};

use futures::future::join_all;
use sqlx::{Connection, Executor};
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{
    Cart, Env, Loms, ProductStandIn, SOON, Servers, Shop, eventually, new_user, set,
};

/// Far less than the deadline of a call, and enough for a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn loms_refuses_at_once_what_it_cannot_hold() {
    let small: Env = vec![set("ACTOR_CAPACITY", 4)];
    let shop = Loms::start(&Servers::from_env(), small).await;
    let (loms, sku) = (shop.client(), shop.stock(10).await);
    // On a busy machine the first connection to the database may take longer than a call waits.
    eventually(SOON, "the stock is shown", async || loms.available(sku).await).await;
    let gateway = shop.gateway();
    let mut blocker = shop.shards[0].connect().await;
    blocker.execute("begin; lock table stock in access exclusive mode").await.unwrap();

    let admitted = tokio::spawn({
        let loms = loms.clone();
        async move { join_all((0..40).map(|_| loms.available(sku))).await }
    });
    let path = format!("/v1/stocks/{sku}");
    let refused = eventually(SOON, "the gateway refuses too", async || {
        let asked = Instant::now();
        let answer = tokio::time::timeout(AT_ONCE, gateway.get(&path)).await.ok()?;
        (answer.status == 429).then(|| (answer, asked.elapsed()))
    });
    let (answer, after) = refused.await;
    assert!(after < AT_ONCE, "refused after {after:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    answer.expect_gateway_error(429, 8);

    blocker.execute("rollback").await.unwrap();
    blocker.close().await.unwrap();
    let outcomes = admitted.await.unwrap();
    let refusals: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!(
        !refusals.is_empty() && refusals.len() < outcomes.len(),
        "{} of 40 were refused",
        refusals.len()
    );
    for refusal in refusals {
        assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal}");
        let delay = refusal.get_details_retry_info().and_then(|info| info.retry_delay);
        assert!(delay.is_some(), "{refusal:?} names no time");
    }
    assert_eq!(loms.available(sku).await.unwrap(), 10);
}

#[tokio::test]
async fn cart_refuses_at_once_what_one_user_asks_too_much() {
    let shop = Shop::shared().await;
    let products = ProductStandIn::start().unwrap();
    let small: Env = vec![set("CART_CAPACITY_PER_USER", 2)];
    let own =
        Cart::start(&Servers::from_env(), shop.loms.grpc_port, products.base_url(), small).await;
    let (cart, user, sku) = (own.client(), new_user(), shop.loms.stock_product(1000).await);
    let first = async || cart.add(user, sku, 1).await.status == 200;
    eventually(SOON, "the first piece is added", first).await;
    let answers = join_all((0..100).map(|_| cart.add(user, sku, 1))).await;
    let (added, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert!(!refused.is_empty(), "all 100 were admitted");
    for answer in refused {
        assert!([429, 503].contains(&answer.status), "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?} names no time");
    }
    let held = u64::try_from(added.len()).unwrap() + 1;
    assert_eq!(cart.lines(user).await, [(u64::from(sku), held)]);
}
