//! A service that starts before its servers waits for them, and says so.

use dev::testing::ServiceProcess;
use serde_json::Value;

use crate::support::{
    Cart, Env, Kind, Loms, LomsClient, Notifier, PrivateServers, ProductStandIn, Rest, SOON,
    eventually, free_port, new_user, set,
};

/// `(ready, name, reason)` of the components that /readyz names with `part` in their name.
async fn component(service: &ServiceProcess, part: &str) -> (bool, String) {
    let report = Rest::new(service.base_url()).get("/readyz").await.json();
    let components =
        report["components"].as_array().unwrap_or_else(|| panic!("no components in {report}"));
    let names_part = |component: &&Value| {
        component["name"].as_str().is_some_and(|name| name.to_lowercase().contains(part))
    };
    let found =
        components.iter().find(names_part).unwrap_or_else(|| panic!("no {part} in {report}"));
    (found["ready"].as_bool().unwrap(), found["reason"].as_str().unwrap_or_default().to_owned())
}

fn database_env(host_port: &str, name: &str) -> Env {
    vec![
        set("DATABASE_MASTER_HOST_PORT_0", host_port),
        set("DATABASE_MASTER_USER_0", "postgres"),
        set("DATABASE_MASTER_PASSWORD_0", "postgres"),
        set("DATABASE_MASTER_NAME_0", name),
    ]
}

#[tokio::test]
async fn services_that_start_before_their_servers_are_alive_and_become_ready_when_these_come() {
    let private = PrivateServers::prepare();
    let servers = private.in_place_of(&[Kind::Postgres, Kind::Redis, Kind::Kafka]);
    let (products, grpc_port) = (ProductStandIn::start().unwrap(), free_port());
    let launch = |binary: &str, addresses: Env| {
        let mut env = database_env(&servers.postgres_0, binary);
        env.extend(addresses);
        ServiceProcess::launch(binary, &env)
    };
    let mut loms = launch("loms", Loms::addresses(grpc_port, &servers.kafka, "loms.order-events"));
    let mut cart = launch("cart", Cart::addresses(&servers.redis, grpc_port, products.base_url()));
    let mut notifier = launch("notifier", Notifier::addresses(&servers.kafka, "loms.order-events"));

    for (service, name) in [(&loms, "loms"), (&cart, "cart"), (&notifier, "notifier")] {
        let rest = Rest::new(service.base_url());
        eventually(SOON, &format!("{name} is alive"), async || {
            Rest::new(service.base_url())
                .request(reqwest::Method::GET, "/livez")
                .send()
                .await
                .map(drop)
        })
        .await;
        rest.get("/livez").await.expect(200);
        rest.get("/readyz").await.expect(503);
        eventually(SOON, &format!("{name} says why it waits"), async || {
            let (ready, reason) = component(service, "postgres").await;
            !ready && !reason.is_empty() && reason != "starting"
        })
        .await;
        let says_so = async || service.log().contains("waiting for the database");
        eventually(SOON, &format!("{name}'s log says so too"), says_so).await;
    }
    let early = Rest::new(cart.base_url()).get("/user/1/cart").await;
    assert!(early.header("retry-after").is_some(), "{early:?}");
    early.expect_cart_error(503, "UNAVAILABLE");
    Rest::new(loms.base_url()).get("/v1/orders/1000").await.expect_gateway_error(503, 14);
    let early = LomsClient::new(grpc_port).info(1000).await.unwrap_err();
    assert_eq!(early.code(), tonic::Code::Unavailable, "{early}");

    let _postgres = private.postgres().await.unwrap();
    loms.ready().await;
    cart.ready().await;
    assert!(!component(&loms, "kafka").await.0, "loms names Kafka, and needs it not");
    assert!(!component(&cart, "redis").await.0, "cart names Redis, and needs it not");
    Rest::new(notifier.base_url()).get("/readyz").await.expect(503);
    let order = LomsClient::new(grpc_port).create(new_user(), &[(1002, 1)]).await.unwrap();

    let (_redis, _kafka) = tokio::join!(private.redis(), private.kafka());
    notifier.ready().await;
    for (service, part) in [(&loms, "kafka"), (&cart, "redis"), (&notifier, "kafka")] {
        eventually(SOON, &format!("{part} is there"), async || component(service, part).await.0)
            .await;
    }
    let order = format!("order {order} ");
    let told =
        || notifier.log().lines().any(|line| line.contains(&order) && line.contains(" NEW "));
    eventually(SOON, "the order from before Kafka is notified", async || told()).await;
}
