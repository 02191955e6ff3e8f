//! A shard whose database cannot be reached: the others are served, by instances that start meanwhile, too.

use dev::testing::{Fault, Signal};
use serde_json::json;
use tonic::Code;

use crate::support::{Kind, PrivateServers, Rest, SOON, Settings, Shop, eventually, new_user_on};

#[tokio::test]
async fn instances_that_start_while_a_shard_is_away_serve_the_others_and_take_it_up_later() {
    let private = PrivateServers::prepare();
    let mut postgres = private.postgres_of_shard_1().await.unwrap();
    let mut shop =
        Shop::start(&private.in_place_of(&[Kind::PostgresOfShard1]), Settings::default()).await;
    let (cart, loms) = (shop.cart.client(), shop.loms.client());
    let sku = shop.loms.stock_product(1000).await;
    let (user, lost) = (new_user_on(0), new_user_on(1));
    cart.add(lost, sku, 2).await.expect(200);
    let order = loms.create(lost, &[(sku, 1)]).await.unwrap();

    postgres.signal(Signal::SIGQUIT).unwrap();
    eventually(SOON, "PostgreSQL is gone", async || postgres.exit_status().unwrap()).await;
    shop.loms.process.restart().await;
    shop.cart.process.restart().await;

    cart.add(user, sku, 1).await.expect(200);
    cart.order(user).await;
    let refused = loms.info(order).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
    let refused = cart.show(lost).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    for service in [&shop.loms.process, &shop.cart.process] {
        let report = Rest::new(service.base_url()).get("/readyz").await.expect(200).json();
        let parts = report["components"].as_array().unwrap();
        let lost = parts.iter().find(|part| part["name"] == json!("postgres shard 1")).unwrap();
        assert_eq!(lost["ready"], json!(false), "{report}");
    }

    let _postgres = private.postgres_of_shard_1().await.unwrap();
    Fault::passed("instances that start while a shard is down")
        .normal_when("the shard is served", async || {
            loms.info(order).await.is_ok() && cart.show(lost).await.status == 200
        })
        .await;
    loms.pay(order).await.unwrap();
    cart.order(lost).await;
    shop.loms.is_sound().await;
}
