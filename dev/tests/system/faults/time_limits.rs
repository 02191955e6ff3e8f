//! A database that does not answer in time.

use std::time::{Duration, Instant};

use sqlx::{Connection, Executor};
use tonic::Code;

use crate::support::{Env, Loms, Servers, new_user_on, set};

#[tokio::test]
async fn a_call_whose_time_is_up_says_so_and_nothing_stays_behind() {
    let limit: Env = vec![set("REQUEST_TIMEOUT", "500ms")];
    let shop = Loms::start(&Servers::from_env(), limit).await;
    let (loms, sku) = (shop.client(), shop.stock(10).await);
    let mut blocker = shop.shards[0].connect().await;
    blocker.execute("begin; lock table stock in access exclusive mode").await.unwrap();

    let started = Instant::now();
    let refusal = loms.available(sku).await.unwrap_err();
    assert_eq!(refusal.code(), Code::DeadlineExceeded, "{refusal}");
    shop.gateway().get(&format!("/v1/stocks/{sku}")).await.expect_gateway_error(504, 4);
    let user = new_user_on(1);
    let refusal = loms.create_keyed(user, &[(sku, 1)], "key").await.unwrap_err();
    assert_eq!(refusal.code(), Code::DeadlineExceeded, "{refusal}");
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "three calls took {:?}",
        started.elapsed()
    );

    blocker.execute("rollback").await.unwrap();
    blocker.close().await.unwrap();
    let order =
        dev::testing::eventually(Duration::from_secs(20), "the retry succeeds", async || {
            loms.create_keyed(user, &[(sku, 1)], "key").await
        })
        .await;
    shop.stock_becomes(sku, (10, 1)).await;
    assert_eq!(shop.orders_of(user).await, [(order, "AWAITING_PAYMENT".to_owned())]);
}
