//! Each request has its own deadline, and shared work outlives the deadline of a single request.

use std::time::Duration;

use futures::future::join;
use futures::join;
use serde_json::json;

use crate::support::{Client, Reply, SOON, Shop, eventually};

fn message(reply: &Reply) -> &str {
    reply.body["message"].as_str().unwrap_or_default()
}

#[actix_web::test]
async fn a_checkout_that_may_take_a_quarter_of_a_second_succeeds() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    let mut user = 0;
    // On a busy machine a checkout may be late.
    eventually(SOON, "a checkout is in time", async || {
        user += 1;
        client.fill(user, &[(1003, 2)]).await;
        client.patient_for("250m").checkout(user).await.status == 200
    })
    .await;
    cart.stop().await;
}

#[actix_web::test]
async fn a_checkout_without_time_is_refused_before_it_begins() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    let late = client.patient_for("10m").checkout(1).await;
    assert_eq!((late.status, late.code()), (504, "DEADLINE_EXCEEDED"));
    assert_eq!(shop.count("select count(*) from checkout_intents").await, 0);
    assert!(shop.loms.keys_asked().is_empty());
    cart.stop().await;
}

#[actix_web::test]
async fn who_waits_longer_for_a_shared_checkout_gets_its_order() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.hold(true);
    let hasty = client.patient_for("1S");
    let (first, patient) = join(hasty.checkout_with_key(1, "hasty"), async {
        eventually(SOON, "loms is asked", async || !shop.loms.keys_asked().is_empty()).await;
        let release = async {
            // Only the client that came first gives up.
            eventually(SOON, "the key is free", async || {
                client.patient_for("100m").checkout_with_key(1, "hasty").await.status == 504
            })
            .await;
            shop.loms.hold(false);
        };
        join!(client.checkout(1), release).0
    })
    .await;
    assert_eq!((first.status, first.code()), (504, "DEADLINE_EXCEEDED"));
    assert_eq!(message(&first), "the order service did not answer in time");
    assert_eq!(patient.body, json!({"orderID": 1000}));
    assert_eq!(client.checkout_with_key(1, "hasty").await.body, json!({"orderID": 1000}));
    assert_eq!(shop.loms.orders().len(), 1);
    cart.stop().await;
}

#[actix_web::test]
async fn who_waits_longer_for_a_shared_product_gets_it() {
    let mut shop = Shop::open().await;
    shop.set("REDIS_ADDRESS", &format!("127.0.0.1:{}", dev::testing::free_port()));
    let cart = shop.start().await;
    let client = Client::of(&cart);
    shop.products.controls().delay(Duration::from_secs(1));
    let (hasty, patient) =
        join(client.patient_for("300m").add(1, 1003, 1), client.add(2, 1003, 1)).await;
    assert_eq!((hasty.status, hasty.code()), (504, "DEADLINE_EXCEEDED"));
    assert_eq!(message(&hasty), "the product service did not answer in time");
    assert_eq!(patient.status, 200, "{patient:?}");
    assert_eq!(shop.products.calls(), 1, "the look-up was shared");
    cart.stop().await;
}

#[actix_web::test]
async fn an_order_that_exists_is_answered_though_its_checkout_cannot_be_settled() {
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "100ms").set("SWEEP_INTERVAL", "50ms");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.hold(true);
    let meanwhile = async {
        eventually(SOON, "loms is asked", async || !shop.loms.keys_asked().is_empty()).await;
        shop.execute("alter table carts add constraint unwritable check (version < 0) not valid")
            .await;
        shop.loms.hold(false);
    };
    let (ordered, ()) = join!(client.checkout(1), meanwhile);
    assert_eq!((ordered.status, ordered.body), (200, json!({"orderID": 1000})));
    assert_eq!(client.lines(1).await, [(1003, 2)]);
    shop.execute("alter table carts drop constraint unwritable").await;
    eventually(SOON, "the sweeper settles it", async || client.show(1).await.status == 404).await;
    assert_eq!(shop.loms.orders().len(), 1);
    cart.stop().await;
}
