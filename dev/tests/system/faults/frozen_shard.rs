//! A primary that stands still: its calls end in time, the other shard's go on, and everything heals when it goes on.

use std::cell::Cell;
use std::fmt::Debug;
use std::time::Duration;

use dev::stack::process::Process;
use futures::future::{join_all, try_join_all};
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::support::{
    Env, Frozen, Kind, Loms, LomsClient, PrivateServers, SOON, eventually, new_user_on, set,
};

/// No call may hang: the deadline of each is far earlier.
const NO_ANSWER: Duration = Duration::from_secs(30);

/// Calls have less time than a statement. Sweepers that are as quick as they can be meet whatever the thaw sets free.
fn impatient() -> Env {
    vec![
        set("REQUEST_TIMEOUT", "5s"),
        set("SWEEP_INTERVAL", "100ms"),
        set("RESERVATION_GRACE", "6s"),
        set("DATABASE_MAX_CONNECTIONS", 4),
    ]
}

/// Buys everything that can be bought: fails when a call fails, or is slower than its deadline.
async fn buys(loms: &LomsClient, shard: u32, sku: u32) -> Result<(), Status> {
    let lines = [(sku, 1)];
    let (user, key) = (new_user_on(shard), "key");
    let paid = loms.create_keyed(user, &lines, key).await?;
    let cancelled = loms.create(user, &lines).await?;
    loms.pay(paid).await?;
    // Its items may take longer to come back than the answer waits; a second one tells that they are.
    if let Err(refusal) = loms.cancel(cancelled).await {
        assert_eq!(refusal.code(), Code::Unavailable, "{refusal}");
        eventually(SOON, "the items are back", async || loms.cancel(cancelled).await).await;
    }
    assert_eq!(loms.create_keyed(user, &lines, key).await?, paid);
    assert_eq!(loms.info(paid).await?.status, "PAYED");
    assert_eq!(loms.info(cancelled).await?.status, "CANCELLED");
    loms.available(sku).await.map(drop)
}

/// The answer to a call, which must come.
async fn answered<T: Debug>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    timeout(NO_ANSWER, call).await.expect("each call is answered")
}

/// Fails unless the call was refused as one to somebody who does not answer.
async fn in_vain<T: Debug>(call: impl Future<Output = Result<T, Status>>) {
    let refusal = answered(call).await.unwrap_err();
    assert!([Code::DeadlineExceeded, Code::Unavailable].contains(&refusal.code()), "{refusal}");
}

/// Each call to a shard that stands still, several times at once. `unpaid` are orders of it, one for each round.
async fn all_in_vain(loms: &LomsClient, shard: u32, sku: u32, unpaid: &[i64]) {
    let lines = [(sku, 1)];
    let calls = unpaid.iter().enumerate().map(async |(round, order)| {
        let (user, key) = (new_user_on(shard), format!("key {round}"));
        tokio::join!(
            in_vain(loms.create(user, &lines)),
            in_vain(loms.create_keyed(user, &lines, &key)),
            in_vain(loms.info(*order)),
            in_vain(async {
                if round % 2 == 0 { loms.pay(*order).await } else { loms.cancel(*order).await }
            }),
            in_vain(loms.all()),
        );
    });
    join_all(calls).await;
}

/// Waits until all calls to all shards are answered well, and the databases agree.
async fn heals(shop: &Loms, sku: u32) {
    let loms = shop.client();
    for shard in [0, 1] {
        let what = format!("shard {shard} is at work");
        eventually(SOON, &what, async || buys(&loms, shard, sku).await).await;
    }
    eventually(SOON, "orders are listed", async || loms.all().await).await;
    shop.is_sound().await;
}

/// A loms whose shard 0, which has the stock, is of one test.
async fn with_stock_of_its_own() -> (Loms, Process, PrivateServers) {
    let private = PrivateServers::prepare();
    let postgres = private.postgres().await.unwrap();
    let mut servers = private.in_place_of(&[Kind::Postgres]);
    // The replica of the test run follows another primary.
    servers.postgres_replica_0.clone_from(&servers.postgres_0);
    (Loms::start(&servers, impatient()).await, postgres, private)
}

async fn unpaid(loms: &LomsClient, shard: u32, sku: u32) -> Vec<i64> {
    let lines = [(sku, 1)];
    let orders = (0..12).map(async |_| loms.create(new_user_on(shard), &lines).await);
    try_join_all(orders).await.unwrap()
}

#[tokio::test]
async fn a_frozen_shard_harms_nobody_on_another_one() {
    let private = PrivateServers::prepare();
    let postgres: Process = private.postgres_of_shard_1().await.unwrap();
    let shop = Loms::start(&private.in_place_of(&[Kind::PostgresOfShard1]), impatient()).await;
    let (loms, sku) = (shop.client(), shop.stock(10_000).await);
    let orders = unpaid(&loms, 1, sku).await;

    let frozen = Frozen::freeze(&postgres);
    let frozen_long_enough = Cell::new(false);
    let others = async {
        while !frozen_long_enough.get() {
            try_join_all((0..4).map(|_| answered(buys(&loms, 0, sku)))).await.unwrap();
        }
    };
    // As often as needed to meet each limit: of what may run, of connections, of the time that a statement has.
    let vain = async {
        for _ in 0..3 {
            all_in_vain(&loms, 1, sku, &orders).await;
        }
        frozen_long_enough.set(true);
    };
    tokio::join!(others, vain);
    drop(frozen);
    heals(&shop, sku).await;
}

#[tokio::test]
async fn while_the_stock_is_frozen_the_orders_of_other_shards_are_read_and_paid() {
    let (shop, postgres, _private) = with_stock_of_its_own().await;
    let (loms, sku) = (shop.client(), shop.stock(10_000).await);
    let (frozen_orders, orders) = (unpaid(&loms, 0, sku).await, unpaid(&loms, 1, sku).await);
    loms.pay(orders[0]).await.unwrap();

    let frozen = Frozen::freeze(&postgres);
    let frozen_long_enough = Cell::new(false);
    let reads = async {
        while !frozen_long_enough.get() {
            let states = orders.iter().map(async |order| answered(loms.info(*order)).await);
            let found = try_join_all(states).await.unwrap();
            assert_eq!(found[0].status, "PAYED");
            // A payment is decided where the order is; it takes nothing that others could want.
            answered(loms.pay(orders[1])).await.unwrap();
        }
    };
    let (user, lines) = (new_user_on(1), [(sku, 1)]);
    let vain = async {
        for _ in 0..3 {
            tokio::join!(
                all_in_vain(&loms, 0, sku, &frozen_orders),
                in_vain(loms.create(user, &lines)),
                in_vain(loms.available(sku)),
            );
        }
        frozen_long_enough.set(true);
    };
    tokio::join!(reads, vain);
    drop(frozen);
    heals(&shop, sku).await;
    assert_eq!(loms.state(orders[1]).await, "PAYED");
}

/// More than two batches, which is what is under way at once, can take before the first calls run into their deadline.
const CROWD: u32 = 1500;

#[tokio::test]
async fn while_the_stock_is_frozen_payments_do_not_wait_for_one_another() {
    let (shop, postgres, _private) = with_stock_of_its_own().await;
    let sku = shop.stock(10_000).await;
    let clients = [(); 8].map(|()| shop.client());
    let lines = [(sku, 1)];
    let of_a_client = |index: u32| &clients[index as usize % clients.len()];
    let mut orders = Vec::new();
    for _ in 0..CROWD / 250 {
        let some = (0..250).map(|index| of_a_client(index).create(new_user_on(1), &lines));
        orders.extend(try_join_all(some).await.unwrap());
    }

    let frozen = Frozen::freeze(&postgres);
    let payments =
        (0..).zip(&orders).map(|(index, order)| answered(of_a_client(index).pay(*order)));
    try_join_all(payments).await.unwrap();
    drop(frozen);
    heals(&shop, sku).await;
}
