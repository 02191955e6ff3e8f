//! A replica that stands still, falls behind or is gone: lists go on from the primary, and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dev::stack::postgres::connect;
use dev::stack::process::Process;
use dev::testing::{Fault, Signal};
use sqlx::{Executor, PgConnection};
use tokio::task::{JoinHandle, spawn};

use crate::support::{
    Env, Frozen, Kind, Loms, LomsClient, PrivateServers, SOON, eventually, kill_all, new_user_on,
    set,
};

/// One more than lists are asked for at once.
const CONNECTIONS: u32 = 4;

/// Counts how often a replica was asked how far it is behind.
const MEASUREMENTS: (&str, (&str, &str)) = ("db_requests_total", ("category", "replica_lag"));

/// A loms whose shard 0 and its replica are of one test.
struct Replicated {
    loms: Loms,
    replica: Option<Process>,
    primary: Process,
    private: PrivateServers,
}

impl Replicated {
    async fn start() -> Self {
        let private = PrivateServers::prepare();
        let primary = private.postgres().await.unwrap();
        let replica = private.replica().await.unwrap();
        let servers = private.in_place_of(&[Kind::Postgres, Kind::Replica]);
        let loms = Loms::start(
            &servers,
            Env::from([set("REQUEST_TIMEOUT", "5s"), set("DATABASE_MAX_CONNECTIONS", CONNECTIONS)]),
        )
        .await;
        Self { loms, replica: Some(replica), primary, private }
    }

    async fn on_the_replica(&self, statement: &'static str) {
        self.connection_to_the_replica().await.execute(statement).await.unwrap();
    }

    async fn connection_to_the_replica(&self) -> PgConnection {
        let servers = self.private.in_place_of(&[Kind::Replica]);
        let (_, port) = servers.postgres_replica_0.rsplit_once(':').unwrap();
        connect(port.parse().unwrap(), "postgres").await.unwrap()
    }

    /// Waits until `source` has served some more lists of shard 0. Shard 1 has no replica, and one list each time.
    async fn served_by(&self, source: &str) {
        let lists = async || {
            let samples = self.loms.samples().await;
            let of = |source| samples.sum("order_lists_total", &[("source", source)]);
            if source == "replica" { of("replica") } else { of("primary") - of("replica") }
        };
        let before = lists().await;
        let what = format!("lists are read from the {source}");
        eventually(SOON, &what, async || {
            let more = lists().await - before;
            if more >= 10.0 { Ok(()) } else { Err(more) }
        })
        .await;
    }

    /// Waits until a new order of shard 0 is listed.
    async fn lists_a_new_order(&self) {
        let (client, sku) = (self.loms.client(), self.loms.stock(100).await);
        let make = async || client.create(new_user_on(0), &[(sku, 1)]).await;
        let order = eventually(SOON, "an order is made", make).await;
        eventually(SOON, "the new order is listed", async || {
            client.all().await.unwrap().iter().any(|listed| listed.id == order)
        })
        .await;
    }
}

/// Somebody who lists all the time.
struct Listing {
    enough: Arc<AtomicBool>,
    listing: [JoinHandle<()>; 3],
}

impl Listing {
    fn start(client: &LomsClient) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let listing = [(); 3].map(|()| {
            let (client, enough) = (client.clone(), Arc::clone(&enough));
            spawn(async move {
                while !enough.load(Ordering::Relaxed) {
                    client.all().await.expect("each list is answered in time");
                }
            })
        });
        Self { enough, listing }
    }

    /// Fails when a list has failed.
    async fn end(self) {
        self.enough.store(true, Ordering::Relaxed);
        for listing in self.listing {
            listing.await.unwrap();
        }
    }
}

#[tokio::test]
async fn lists_go_on_from_the_primary_while_the_replica_is_frozen() {
    let shop = Replicated::start().await;
    let listing = Listing::start(&shop.loms.client());
    shop.served_by("replica").await;
    for _ in 0..2 {
        let frozen = Frozen::freeze(shop.replica.as_ref().unwrap());
        shop.served_by("primary").await;
        shop.lists_a_new_order().await;
        let waiting = [("pool", "replica"), ("state", "busy")];
        // Whatever was being released in the very moment of the freeze is told so when the replica goes on; nothing else waits.
        eventually(SOON, "there is room in the pool of the replica", async || {
            shop.loms.samples().await.sum("db_pool_connections", &waiting) < f64::from(CONNECTIONS)
        })
        .await;
        drop(frozen);
        shop.served_by("replica").await;
    }
    shop.lists_a_new_order().await;
    listing.end().await;
}

#[tokio::test]
async fn lists_go_on_from_the_primary_while_the_replica_is_behind() {
    let shop = Replicated::start().await;
    let listing = Listing::start(&shop.loms.client());
    shop.served_by("replica").await;
    shop.on_the_replica("select pg_wal_replay_pause()").await;
    shop.lists_a_new_order().await;
    shop.served_by("primary").await;
    eventually(SOON, "the lag is shown", async || {
        shop.loms.samples().await.sum("replica_lag_seconds", &[("shard", "0")]) >= 2.0
    })
    .await;

    shop.on_the_replica("select pg_wal_replay_resume()").await;
    shop.served_by("replica").await;
    shop.lists_a_new_order().await;
    listing.end().await;
}

#[tokio::test]
async fn lists_go_on_from_the_primary_while_the_replica_hears_nothing_of_it() {
    let shop = Replicated::start().await;
    let listing = Listing::start(&shop.loms.client());
    shop.served_by("replica").await;
    let mut replica = shop.connection_to_the_replica().await;
    let receiver = sqlx::query_scalar("select pid from pg_stat_wal_receiver");
    // It counts as streaming, and has replayed all that it received.
    let silent = Frozen::freeze_part(receiver.fetch_one(&mut replica).await.unwrap());
    shop.lists_a_new_order().await;
    shop.served_by("primary").await;
    shop.lists_a_new_order().await;

    drop(silent);
    shop.served_by("replica").await;
    shop.lists_a_new_order().await;
    listing.end().await;
}

#[tokio::test]
async fn lists_go_on_from_the_replica_while_the_primary_is_frozen() {
    let shop = Replicated::start().await;
    let listing = Listing::start(&shop.loms.client());
    shop.lists_a_new_order().await;
    shop.served_by("replica").await;
    let frozen = Frozen::freeze(&shop.primary);
    let measured = async || shop.loms.samples().await.sum(MEASUREMENTS.0, &[MEASUREMENTS.1]);
    let before = measured().await;
    eventually(SOON, "the lag is measured without the primary", async || {
        measured().await >= before + 3.0
    })
    .await;
    shop.served_by("replica").await;
    drop(frozen);
    shop.lists_a_new_order().await;
    listing.end().await;
}

#[tokio::test]
async fn lists_that_wait_for_the_primary_when_it_freezes_are_read_from_the_replica_that_is_behind()
{
    let shop = Replicated::start().await;
    let listing = Listing::start(&shop.loms.client());
    shop.served_by("replica").await;
    shop.on_the_replica("select pg_wal_replay_pause()").await;
    shop.lists_a_new_order().await;
    shop.served_by("primary").await;
    let frozen = Frozen::freeze(&shop.primary);
    shop.served_by("replica").await;
    drop(frozen);
    shop.on_the_replica("select pg_wal_replay_resume()").await;
    shop.lists_a_new_order().await;
    listing.end().await;
}

#[tokio::test]
async fn lists_go_on_from_the_primary_while_the_replica_is_gone() {
    let mut shop = Replicated::start().await;
    let listing = Listing::start(&shop.loms.client());
    shop.served_by("replica").await;
    kill_all(shop.replica.take().unwrap());
    shop.served_by("primary").await;
    shop.lists_a_new_order().await;

    shop.replica = Some(shop.private.replica().await.unwrap());
    shop.served_by("replica").await;
    shop.lists_a_new_order().await;
    listing.end().await;
}

#[tokio::test]
async fn lists_go_on_from_the_primary_when_the_replica_is_promoted() {
    let shop = Replicated::start().await;
    let listing = Listing::start(&shop.loms.client());
    shop.served_by("replica").await;
    let promoted = Fault::passed("a replica that is promoted while its primary runs");
    shop.on_the_replica("select pg_promote()").await;
    promoted
        .normal_when("it is read no more", async || {
            shop.loms.samples().await.sum("replica_usable", &[("shard", "0")]) == 0.0
        })
        .await;
    shop.served_by("primary").await;
    shop.lists_a_new_order().await;
    assert!(shop.loms.process.log().contains("it was promoted"));
    listing.end().await;
}

#[tokio::test]
async fn lists_go_on_from_the_replica_while_the_primary_is_dead() {
    let mut shop = Replicated::start().await;
    let listing = Listing::start(&shop.loms.client());
    shop.lists_a_new_order().await;
    shop.served_by("replica").await;
    shop.primary.signal(Signal::SIGQUIT).unwrap();
    eventually(SOON, "the primary is gone", async || shop.primary.exit_status().unwrap()).await;
    // Longer than a replica may lag while its primary lives.
    let samples = async || shop.loms.samples().await;
    eventually(SOON, "the replica lags", async || {
        samples().await.sum("replica_lag_seconds", &[("shard", "0")]) > 3.0
    })
    .await;
    shop.served_by("replica").await;
    assert!(samples().await.sum("replica_usable", &[("shard", "0")]) > 0.0);

    shop.primary = shop.private.postgres().await.unwrap();
    let back = Fault::passed("a replicated primary that is killed and comes back");
    let (client, sku) = (shop.loms.client(), shop.loms.stock(100).await);
    back.normal_when("orders are made", async || client.create(new_user_on(0), &[(sku, 1)]).await)
        .await;
    shop.lists_a_new_order().await;
    listing.end().await;
}
