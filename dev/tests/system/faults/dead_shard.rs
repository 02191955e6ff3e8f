//! A shard that is away: nobody loses stock to it, what it cannot serve is refused at once, and the other one goes on.

use std::cell::Cell;

use dev::stack::process::Process;
use dev::testing::{Fault, Signal};
use futures::future::{join_all, try_join_all};
use tonic::{Code, Status};

use crate::support::{
    Env, Frozen, Kind, Loms, LomsClient, PrivateServers, SOON, eventually, new_user_on, set,
};

/// Shorter than any statement waits for a connection: an answer within it did not wait for one.
const AT_ONCE: (&str, &str) = ("grpc-timeout", "1S");

/// All pieces of a SKU, and more orders of one piece than that.
const PIECES: u32 = 300;
const ORDERS: usize = 360;

/// A loms whose shard 1 is of one test.
async fn with_shard_1_of_its_own() -> (Loms, Process, PrivateServers) {
    let private = PrivateServers::prepare();
    let postgres = private.postgres_of_shard_1().await.unwrap();
    let shop = Loms::start(&private.in_place_of(&[Kind::PostgresOfShard1]), Env::new()).await;
    (shop, postgres, private)
}

async fn buys(loms: &LomsClient, shard: u32, sku: u32) -> Result<i64, Status> {
    loms.create(new_user_on(shard), &[(sku, 1)]).await
}

/// Orders of a shard that is away are refused, however many there are, and take nothing of the stock that users of the other
/// shard want meanwhile.
async fn all_in_vain_and_for_nothing(loms: &LomsClient, sku: u32) {
    let done = Cell::new(false);
    let vain = async {
        for refused in join_all((0..ORDERS).map(|_| buys(loms, 1, sku))).await {
            let refused = refused.unwrap_err().code();
            assert!([Code::Unavailable, Code::DeadlineExceeded].contains(&refused), "{refused}");
        }
        done.set(true);
    };
    let others = async {
        let mut bought = 0;
        while !done.get() || bought == 0 {
            let order = buys(loms, 0, sku).await.unwrap();
            loms.cancel(order).await.unwrap();
            bought += 1;
        }
    };
    tokio::join!(vain, others);
    eventually(SOON, "every piece can be sold while the shard is away", async || {
        let left = loms.available(sku).await.unwrap();
        if left == u64::from(PIECES) { Ok(()) } else { Err(left) }
    })
    .await;
    try_join_all((0..PIECES).map(async |_| {
        let order = buys(loms, 0, sku).await?;
        loms.cancel(order).await
    }))
    .await
    .unwrap();
}

/// Every call that needs the shard is refused by one that knows that it is away.
async fn refused_at_once(shop: &Loms, order: i64, sku: u32) {
    let hurried = shop.client().with(AT_ONCE.0, AT_ONCE.1);
    eventually(SOON, "what the shard cannot serve is refused at once", async || {
        let (info, pay, create) =
            tokio::join!(hurried.info(order), hurried.pay(order), buys(&hurried, 1, sku));
        let codes = [info.unwrap_err().code(), pay.unwrap_err().code(), create.unwrap_err().code()];
        if codes == [Code::Unavailable; 3] { Ok(()) } else { Err(codes) }
    })
    .await;
}

#[tokio::test]
async fn orders_for_a_dead_shard_take_no_stock_and_reads_of_it_are_refused_at_once() {
    let (shop, mut postgres, private) = with_shard_1_of_its_own().await;
    let (loms, sku) = (shop.client(), shop.stock(i64::from(PIECES)).await);
    let order = buys(&loms, 1, shop.stock(1).await).await.unwrap();
    // A connection that was used just now is used once more without a look at it.
    eventually(SOON, "the answer to the order is old", async || order_is_old(&shop, order).await)
        .await;

    postgres.signal(Signal::SIGQUIT).unwrap();
    eventually(SOON, "PostgreSQL is gone", async || postgres.exit_status().unwrap()).await;
    all_in_vain_and_for_nothing(&loms, sku).await;
    refused_at_once(&shop, order, sku).await;

    let _postgres = private.postgres_of_shard_1().await.unwrap();
    let back = Fault::passed("a shard's database that is killed and comes back");
    back.normal_when("orders of the shard are made", async || buys(&loms, 1, sku).await).await;
    eventually(SOON, "its orders are paid", async || loms.pay(order).await).await;
    shop.is_sound().await;
}

#[tokio::test]
async fn orders_for_a_frozen_shard_take_no_stock_and_reads_of_it_are_refused_at_once() {
    let (shop, postgres, _private) = with_shard_1_of_its_own().await;
    let (loms, sku) = (shop.client(), shop.stock(i64::from(PIECES)).await);
    let order = buys(&loms, 1, shop.stock(1).await).await.unwrap();
    // A connection that was used just now is used once more without a look at it.
    eventually(SOON, "the answer to the order is old", async || order_is_old(&shop, order).await)
        .await;

    let frozen = Frozen::freeze(&postgres);
    all_in_vain_and_for_nothing(&loms, sku).await;
    refused_at_once(&shop, order, sku).await;

    drop(frozen);
    let back = Fault::passed("a shard's database that hangs for a while");
    back.normal_when("orders of the shard are made", async || buys(&loms, 1, sku).await).await;
    eventually(SOON, "its orders are paid", async || loms.pay(order).await).await;
    shop.is_sound().await;
}

/// Whether an order was made a second ago, by the clock of its database.
async fn order_is_old(shop: &Loms, order: i64) -> bool {
    let old = "select created_at < now() - interval '1 second' from orders where id = $1";
    sqlx::query_scalar(old)
        .bind(order)
        .fetch_one(&mut shop.shards[1].connect().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn while_creates_wait_for_a_frozen_stock_payments_and_reads_are_served() {
    let private = PrivateServers::prepare();
    let postgres = private.postgres().await.unwrap();
    let mut servers = private.in_place_of(&[Kind::Postgres]);
    servers.postgres_replica_0.clone_from(&servers.postgres_0);
    let shop = Loms::start(&servers, vec![set("ACTOR_CAPACITY", 128)]).await;
    let (loms, sku) = (shop.client(), shop.stock(10_000).await);
    let orders = try_join_all((0..80).map(|_| buys(&loms, 1, sku))).await.unwrap();

    let frozen = Frozen::freeze(&postgres);
    let enough = Cell::new(false);
    let hurried = [(); 4].map(|()| shop.client().with(AT_ONCE.0, AT_ONCE.1));
    // More of them than creates may wait, and each asks again as soon as it is refused.
    let creates = join_all((0..300).map(async |index: usize| {
        let mut overloaded = 0;
        while !enough.get() {
            let refused = buys(&hurried[index % hurried.len()], 1, sku).await.unwrap_err();
            overloaded += u32::from(refused.code() == Code::ResourceExhausted);
        }
        overloaded
    }));
    let others = async {
        eventually(SOON, "creates are too many", async || {
            shop.samples().await.sum(
                "actor_messages_total",
                &[("message", "create_order"), ("outcome", "overloaded")],
            ) > 0.0
        })
        .await;
        for order in &orders {
            let (paid, info) = tokio::join!(loms.pay(*order), loms.info(orders[0]));
            paid.unwrap();
            info.unwrap();
        }
        enough.set(true);
    };
    let (overloaded, ()) = tokio::join!(creates, others);
    assert!(overloaded.iter().sum::<u32>() > 0);
    drop(frozen);
    let back = Fault::passed("a stock database that hangs during creates");
    back.normal_when("orders are made", async || buys(&loms, 1, sku).await).await;
    shop.is_sound().await;
}
