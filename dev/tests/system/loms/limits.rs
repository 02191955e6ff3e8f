//! Limits on the size of a message and of an order, and on concurrent calls per connection.

use futures::future::join_all;
use sqlx::{Connection, Executor};
use tonic::Code;

use crate::support::proto::{Order, OrderCreateRequest};
use crate::support::{
    Env, Loms, SOON, Samples, Servers, Shop, eventually, field_at_fault, items, new_user, set,
};

#[tokio::test]
async fn an_order_of_a_thousand_skus_is_taken_and_one_of_more_refused() {
    let shop = Loms::start(&Servers::from_env(), Env::new()).await;
    let (loms, sku) = (shop.client(), shop.stock(1000).await);
    let most: Vec<(u32, u32)> =
        (1..1000).map(|unknown| (unknown << 20, 1)).chain([(sku, 1)]).collect();
    let kept = loms.create(new_user(), &most).await.unwrap_err();
    assert_eq!(
        kept.code(),
        Code::FailedPrecondition,
        "it was taken, and 999 of its SKUs are unknown: {kept}"
    );
    let more: Vec<(u32, u32)> = most.iter().copied().chain([(7, 1)]).collect();
    let refused = loms.create(new_user(), &more).await.unwrap_err();
    assert_eq!(
        (refused.code(), field_at_fault(&refused).as_str()),
        (Code::InvalidArgument, "items")
    );
    let repeated: Vec<(u32, u32)> = std::iter::repeat_n((sku, 1), 1000).collect();
    let order = loms.create(new_user(), &repeated).await.unwrap();
    assert_eq!(
        loms.info(order).await.unwrap().items,
        items(&[(sku, 1000)]),
        "lines of one SKU are one"
    );
}

#[tokio::test]
async fn a_message_over_64_kib_is_refused_and_its_connection_goes_on() {
    let shop = Shop::shared().await;
    let (loms, sku) = (shop.loms.client(), shop.loms.stock(10).await);
    let order =
        Order { user: new_user(), items: items(&[(sku, 1)]), status: "x".repeat(65 * 1024), id: 0 };
    let refused = loms
        .send(OrderCreateRequest { order: Some(order), ..Default::default() })
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("65536"), "it says how much is allowed: {refused}");
    assert_eq!(loms.available(sku).await.unwrap(), 10);
}

#[tokio::test]
async fn a_connection_has_no_more_calls_under_way_than_it_may() {
    let narrow: Env = vec![set("GRPC_MAX_CONCURRENT_STREAMS", 2)];
    let shop = Loms::start(&Servers::from_env(), narrow).await;
    let (first, second, sku) = (shop.client(), shop.client(), shop.stock(10).await);
    for client in [&first, &second] {
        eventually(SOON, "the stock is shown", async || client.available(sku).await).await;
    }
    let mut blocker = shop.shards[0].connect().await;
    blocker.execute("begin; lock table stock in access exclusive mode").await.unwrap();

    let calls = tokio::spawn({
        let first = first.clone();
        async move { join_all((0..8).map(|_| first.available(sku))).await }
    });
    let under_way = async |wanted: f64| {
        let samples = Samples::parse(&shop.gateway().get("/metrics").await.body);
        let labels = [("actor", "stock_reads")];
        let sum = |name| samples.sum(name, &labels);
        let found = sum("actor_mailbox_depth") + sum("actor_messages_in_flight");
        if (found - wanted).abs() < 0.5 { Ok(()) } else { Err(found) }
    };
    eventually(SOON, "two calls are under way", async || under_way(2.0).await).await;
    let third = tokio::spawn(async move { second.available(sku).await });
    eventually(SOON, "one call of another connection is, too", async || under_way(3.0).await).await;

    blocker.execute("rollback").await.unwrap();
    blocker.close().await.unwrap();
    assert_eq!(third.await.unwrap().unwrap(), 10);
    for answer in calls.await.unwrap() {
        assert_eq!(answer.unwrap(), 10);
    }
}
