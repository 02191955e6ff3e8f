//! `PostgreSQL` away: clients are told to come back, and nothing that was answered is lost.

use dev::testing::{Fault, Signal};
use serde_json::json;
use tonic::Code;

use crate::support::{
    Env, Kind, PrivateServers, Rest, SOON, Settings, Shop, eventually, new_user_on, set,
};

const SHARD: &str = "postgres shard 0";

/// The parts that /readyz says are not ready.
async fn failing(service: &Rest) -> Vec<String> {
    let report = service.get("/readyz").await.json();
    let parts = report["components"].as_array().unwrap().iter();
    let failing = parts.filter(|part| part["ready"] == json!(false));
    failing.map(|part| part["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn calls_are_refused_as_unavailable_until_the_database_is_back() {
    let private = PrivateServers::prepare();
    let mut postgres = private.postgres().await.unwrap();
    let mut servers = private.in_place_of(&[Kind::Postgres]);
    // The replica of the test run follows another primary.
    servers.postgres_replica_0.clone_from(&servers.postgres_0);
    let patience: Env = vec![set("REQUEST_TIMEOUT", "5s")];
    let shop = Shop::start(&servers, Settings::of_all(&patience)).await;
    let (cart, loms, user) = (shop.cart.client(), shop.loms.client(), new_user_on(0));
    let sku = shop.loms.stock_product(10).await;
    cart.add(user, sku, 2).await.expect(200);
    let order = loms.create(user, &[(sku, 1)]).await.unwrap();
    let elsewhere = loms.create(new_user_on(1), &[(sku, 1)]).await.unwrap();

    postgres.signal(Signal::SIGQUIT).unwrap();
    eventually(SOON, "PostgreSQL is gone", async || postgres.exit_status().unwrap()).await;
    let answer = cart.add(user, sku, 1).await;
    assert!([502, 503, 504].contains(&answer.status), "{answer:?}");
    assert!(answer.status != 503 || answer.header("retry-after").is_some(), "{answer:?}");
    for secret in ["postgres", "sqlx", "127.0.0.1", "os error"] {
        assert!(!answer.body.to_lowercase().contains(secret), "{answer:?} tells {secret}");
    }
    let lines = [(sku, 1)];
    let refused = tokio::join!(
        loms.info(order),
        loms.pay(order),
        loms.create(user, &lines),
        loms.available(sku)
    );
    let refusals = [
        refused.0.unwrap_err(),
        refused.1.unwrap_err(),
        refused.2.unwrap_err(),
        refused.3.unwrap_err(),
    ];
    for refusal in refusals {
        assert!([Code::Unavailable, Code::DeadlineExceeded].contains(&refusal.code()), "{refusal}");
    }
    let answer = shop.loms.gateway().get(&format!("/v1/orders/{order}")).await;
    assert!([503, 504].contains(&answer.status), "{answer:?}");
    for process in [&shop.cart.process, &shop.loms.process] {
        let rest = Rest::new(process.base_url());
        rest.get("/livez").await.expect(200);
        eventually(SOON, "the report names the shard", async || {
            failing(&rest).await.contains(&SHARD.to_owned())
        })
        .await;
        rest.get("/readyz").await.expect(200);
    }
    assert_eq!(loms.state(elsewhere).await, "AWAITING_PAYMENT", "the other shard goes on");
    loms.pay(elsewhere).await.unwrap();
    cart.remove(new_user_on(1), sku).await.expect(204);

    let _postgres = private.postgres().await.unwrap();
    let fault = Fault::passed("a shard's primary that is down");
    fault.normal_when("the cart is back", async || cart.show(user).await.status == 200).await;
    eventually(SOON, "the order is back", async || loms.info(order).await.is_ok()).await;
    let lines = cart.lines(user).await;
    assert!(
        [2, 3].contains(&lines[0].1),
        "an add of unknown outcome happened or did not: {lines:?}"
    );
    loms.pay(order).await.unwrap();
    shop.notifier.tells(order, "PAYED").await;
    let paid = shop.loms.gateway().get(&format!("/v1/orders/{order}")).await.expect(200).json();
    assert_eq!(paid["order"]["status"], json!("PAYED"));
}
