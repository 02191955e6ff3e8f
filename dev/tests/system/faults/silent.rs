//! Connections that the network forgets: nothing comes over them any more, and new ones work.

use dev::testing::{Fault, Proxy, Servers};
use futures::future::join_all;

use crate::support::{Env, Kind, LomsClient, PrivateServers, Settings, Shop, new_user_on, set};

/// As many calls at once as open all connections of a pool, and some more.
const CROWD: u32 = 24;

async fn buy(loms: &LomsClient, sku: u32) -> Result<(), tonic::Status> {
    let buy = async |shard| {
        let order = loms.create(new_user_on(shard), &[(sku, 1)]).await?;
        loms.info(order).await?;
        loms.pay(order).await
    };
    let (first, second) = tokio::join!(buy(0), buy(1));
    first.and(second)
}

#[tokio::test]
async fn connections_to_databases_that_are_cut_silently_are_all_replaced_at_once() {
    let mut servers = Servers::from_env();
    let proxies = [Proxy::to(&servers.postgres_0), Proxy::to(&servers.postgres_1)];
    let replica = servers.postgres_replica_0.clone();
    servers.postgres_0 = proxies[0].address();
    servers.postgres_1 = proxies[1].address();
    servers.postgres_replica_0 = replica;
    let patience: Env = vec![set("REQUEST_TIMEOUT", "5s")];
    let shop = Shop::start(&servers, Settings::of_all(&patience)).await;
    let (cart, loms) = (shop.cart.client(), shop.loms.client());
    let sku = shop.loms.stock_product(1000).await;
    let adds = async || {
        let add =
            (0..CROWD).map(async |index| cart.add(new_user_on(index % 2), sku, 1).await.status);
        join_all(add).await
    };
    let buys = async || join_all((0..CROWD).map(|_| buy(&loms, sku))).await;
    let (bought, added) = tokio::join!(buys(), adds());
    bought.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    assert!(added.iter().all(|status| *status == 200), "{added:?}");

    proxies.iter().for_each(Proxy::silence);
    Fault::passed("silent connections to the databases")
        .normal_when("a purchase and adds", async || {
            let add = async |shard| cart.add(new_user_on(shard), sku, 1).await.status;
            let (bought, first, second) = tokio::join!(buy(&loms, sku), add(0), add(1));
            bought.is_ok() && (first, second) == (200, 200)
        })
        .await;
    for shard in 0..2 {
        let order = loms.create(new_user_on(shard), &[(sku, 1)]).await.unwrap();
        shop.notifier.tells(order, "NEW").await;
    }
    let (bought, added) = tokio::join!(buys(), adds());
    bought.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    assert!(added.iter().all(|status| *status == 200), "no dead connection is left: {added:?}");
    shop.loms.is_sound().await;
}

#[tokio::test]
async fn connections_to_kafka_that_are_cut_silently_are_replaced() {
    let private = PrivateServers::prepare();
    let mut servers = private.in_place_of(&[Kind::Kafka]);
    let proxy = Proxy::to(&servers.kafka);
    let _kafka = private.kafka_behind(&proxy).await.unwrap();
    servers.kafka = proxy.address();
    let shop = Shop::start(&servers, Settings::default()).await;
    let loms = shop.loms.client();
    let sku = shop.loms.stock(10).await;
    let create = async || {
        [
            loms.create(new_user_on(0), &[(sku, 1)]).await,
            loms.create(new_user_on(1), &[(sku, 1)]).await,
        ]
        .map(Result::unwrap)
    };
    for order in create().await {
        shop.notifier.tells(order, "NEW").await;
    }

    proxy.silence();
    let fault = Fault::passed("silent connections to Kafka");
    let orders = create().await;
    fault
        .normal_when("both orders are told", async || {
            orders.iter().all(|order| !shop.notifier.lines(*order, "NEW").is_empty())
        })
        .await;
    for order in orders {
        assert_eq!(shop.notifier.tells(order, "AWAITING_PAYMENT").await.len(), 1);
    }
}
