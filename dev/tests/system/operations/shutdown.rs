//! SIGTERM: requests that were accepted are completed, and the process exits with 0.

use std::time::{Duration, Instant};

use dev::testing::Signal;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tonic::Code;

use crate::support::{
    Cart, Env, Frozen, Kind, Loms, Notifier, OwnCache, PrivateServers, ProductStandIn, SOON,
    Servers, Shop, eventually, new_user, new_user_on,
};

const BOUND: Duration = Duration::from_secs(20);

#[tokio::test]
async fn loms_answers_every_order_that_it_took() {
    let mut shop = Loms::start(&Servers::from_env(), Env::new()).await;
    let sku = shop.stock(1_000_000).await;
    let clients: Vec<_> = (0..4).map(|_| shop.client()).collect();
    let mut calls: FuturesUnordered<_> = (0..400_u32)
        .map(|index| {
            let (client, user) =
                (clients[index as usize % clients.len()].clone(), new_user_on(index % 2));
            tokio::spawn(async move { (user, client.create(user, &[(sku, 1)]).await) })
        })
        .collect();
    let mut answered = vec![calls.next().await.unwrap().unwrap()];
    let asked = Instant::now();
    shop.process.signal(Signal::SIGTERM);
    while let Some(answer) = calls.next().await {
        answered.push(answer.unwrap());
    }
    let status = shop.process.terminate().await;
    assert_eq!(status.code(), Some(0), "{status:?}");
    assert!(asked.elapsed() < BOUND, "it took {:?}", asked.elapsed());

    let mut orders = shop.orders().await;
    for (user, answer) in answered {
        let orders = orders.remove(&user).unwrap_or_default();
        match answer {
            Ok(order) => {
                assert_eq!(orders, [(order, "AWAITING_PAYMENT".to_owned())], "user {user}");
            }
            Err(refusal) => {
                // If the connection closes before the call is accepted, the client reports a
                // transport error.
                let refused = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal];
                assert!(refused.contains(&refusal.code()), "{refusal}");
                assert_eq!(orders, [], "user {user} was answered {refusal}");
            }
        }
    }
}

#[tokio::test]
async fn loms_ends_although_a_shard_does_not_answer() {
    let private = PrivateServers::prepare();
    let postgres = private.postgres_of_shard_1().await.unwrap();
    let mut shop = Loms::start(&private.in_place_of(&[Kind::PostgresOfShard1]), Env::new()).await;
    let (loms, sku) = (shop.client(), shop.stock(10).await);
    loms.create(new_user_on(1), &[(sku, 1)]).await.unwrap();
    let frozen = Frozen::freeze(&postgres);
    let call = tokio::spawn({
        let loms = loms.clone();
        async move { loms.create(new_user_on(1), &[(sku, 2)]).await }
    });
    eventually(SOON, "its stock is held", async || {
        loms.available(sku).await.is_ok_and(|left| left == 7)
    })
    .await;
    let asked = Instant::now();
    let status = shop.process.terminate().await;
    assert_eq!(status.code(), Some(0), "{status:?}");
    assert!(asked.elapsed() < BOUND, "it took {:?}", asked.elapsed());
    call.await.unwrap().unwrap_err();
    drop(frozen);
    shop.process.restart().await;
    shop.is_sound().await;
}

#[tokio::test]
async fn cart_answers_what_it_took_and_takes_no_more() {
    let shop = Shop::shared().await;
    let products = ProductStandIn::start().unwrap();
    let cache = OwnCache::start().await;
    let mut own =
        Cart::start(&cache.servers, shop.loms.grpc_port, products.base_url(), Env::new()).await;
    let (cart, user, sku) = (own.client(), new_user(), shop.loms.stock_product(10).await);
    products.controls().delay(Duration::from_secs(1));
    let slow = tokio::spawn({
        let cart = cart.clone();
        async move { cart.add(user, sku, 1).await }
    });
    eventually(SOON, "the product service is asked", async || products.calls() > 0).await;
    let asked = Instant::now();
    let status = own.process.terminate().await;
    assert_eq!(status.code(), Some(0), "{status:?}");
    assert!(asked.elapsed() < BOUND, "it took {:?}", asked.elapsed());
    slow.await.unwrap().expect(200);
    own.process.restart().await;
    assert_eq!(cart.lines(user).await, [(u64::from(sku), 1)]);
}

#[tokio::test]
async fn notifier_ends_in_order() {
    let servers = Servers::from_env();
    let topic = dev::testing::unique_topic(&servers.kafka, 2).await;
    let mut notifier = Notifier::start(&servers, &topic.name, Env::new()).await;
    let asked = Instant::now();
    let status = notifier.process.terminate().await;
    assert_eq!(status.code(), Some(0), "{status:?}");
    assert!(asked.elapsed() < BOUND, "it took {:?}", asked.elapsed());
}
