//! The shipping binary, killed in the middle of its work.

use dev::testing::{ServiceProcess, free_port};
use serde_json::json;

use crate::support::{Client, SOON, Shop, eventually};

#[actix_web::test]
async fn a_checkout_that_was_killed_with_the_service_becomes_one_order() {
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "100ms").set("SWEEP_INTERVAL", "50ms");
    shop.set("HOST_PORT", &format!("127.0.0.1:{}", free_port()));
    let mut service = ServiceProcess::start("cart", &shop.env()).await;
    let client = Client::at(service.base_url());
    client.fill(1, &[(1003, 2), (1004, 1)]).await;

    shop.loms.hold(true);
    let own = client.clone();
    let checkout = actix_web::rt::spawn(async move { own.try_checkout_with_key(1, "a").await });
    eventually(SOON, "the order service was asked", async || !shop.loms.keys_asked().is_empty())
        .await;
    service.kill9();
    assert!(checkout.await.unwrap().is_err(), "nobody answers");
    shop.loms.hold(false);
    service.restart().await;

    eventually(SOON, "the cart is empty", async || client.show(1).await.status == 404).await;
    let keys = shop.loms.keys_asked();
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!(shop.loms.orders().len(), 1);
    assert_eq!(client.checkout_with_key(1, "a").await.body, json!({"orderID": 1000}));
    assert!(service.terminate().await.success());
}

#[actix_web::test]
async fn every_acknowledged_add_outlives_a_kill() {
    let mut shop = Shop::open().await;
    shop.set("HOST_PORT", &format!("127.0.0.1:{}", free_port()));
    let mut service = ServiceProcess::start("cart", &shop.env()).await;
    let client = Client::at(service.base_url());
    for round in 1..=3 {
        for user in 1..=20 {
            client.fill(user, &[(1003, 1)]).await;
        }
        service.restart().await;
        for user in 1..=20 {
            assert_eq!(client.lines(user).await, [(1003, round)]);
        }
    }
    assert!(service.terminate().await.success());
}
