//! Several instances of loms on the same databases: nothing is sold twice, one of them relays each shard, and another one
//! takes over from an instance that is killed or stands still.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use dev::testing::{ServiceProcess, Signal};
use sqlx::{AssertSqlSafe, Executor};
use tokio::task::spawn;
use tonic::Code;

use crate::support::{
    Buyers, Env, EventReader, Loms, LomsClient, Rest, SOON, Samples, Servers, eventually, new_user,
    set,
};

/// By when another instance relays in place of one that does so no more; a busy machine may be given some more.
const TAKEOVER: Duration = Duration::from_secs(10);
/// By when the others sell again what one that stands still was about to sell.
const SALE: Duration = Duration::from_secs(9);
const BUYERS: usize = 6;
const SCARCE: i64 = 40;
const SHARDS: [&str; 2] = ["0", "1"];

/// Three instances of one shop, and what they sell: plenty of one SKU, little of another.
struct Instances {
    shop: Loms,
    others: [ServiceProcess; 2],
    clients: [LomsClient; 3],
    skus: [u32; 2],
}

impl Instances {
    async fn start() -> Self {
        let more: Env = vec![
            set("SWEEP_INTERVAL", "200ms"),
            set("RESERVATION_GRACE", "5s"),
            set("REQUEST_TIMEOUT", "4s"),
        ];
        let shop = Loms::start(&Servers::from_env(), more).await;
        let (second, third) = (shop.another().await, shop.another().await);
        let skus = [shop.stock(1_000_000).await, shop.stock(SCARCE).await];
        let clients = [shop.client(), second.1, third.1];
        Self { shop, others: [second.0, third.0], clients, skus }
    }

    fn buyers(&self) -> Buyers {
        Buyers::start(BUYERS, &self.clients, self.skus)
    }

    fn process(&mut self, instance: usize) -> &mut ServiceProcess {
        if instance == 0 { &mut self.shop.process } else { &mut self.others[instance - 1] }
    }

    async fn samples(&self, instance: usize) -> Samples {
        let process = if instance == 0 { &self.shop.process } else { &self.others[instance - 1] };
        Samples::parse(&Rest::new(process.base_url()).get("/metrics").await.expect(200).body)
    }

    /// Waits until each shard is relayed by one of `instances` and no other one; returns by whom.
    async fn holders(&self, within: Duration, instances: &[usize]) -> [usize; 2] {
        eventually(within, "each shard has one relay", async || {
            let mut holders = [Vec::new(), Vec::new()];
            for instance in instances {
                let samples = self.samples(*instance).await;
                for (shard, holders) in SHARDS.iter().zip(&mut holders) {
                    if samples.sum("relay_holder", &[("shard", shard)]) > 0.0 {
                        holders.push(*instance);
                    }
                }
            }
            match holders.each_ref().map(Vec::as_slice) {
                [[first], [second]] => Ok([*first, *second]),
                _ => Err(holders),
            }
        })
        .await
    }

    /// Waits until some more events of `shard` were published by `instance`.
    async fn publishes(&self, within: Duration, instance: usize, shard: &str) {
        let published = async || {
            self.samples(instance).await.sum("events_published_total", &[("shard", shard)])
        };
        let before = published().await;
        let what = format!("instance {instance} publishes events of shard {shard}");
        eventually(within, &what, async || published().await > before).await;
    }

    /// Lets the buyers take the last piece of what is scarce; fails unless what they bought agrees with the stock, the
    /// tables and the events.
    async fn end_well(&self, buyers: Buyers) {
        let [plenty, scarce] = self.skus;
        self.shop.stock_becomes(scarce, (0, 0)).await;
        let purchases = buyers.end().await;
        let sold = |sku| {
            purchases.iter().filter(|bought| bought.sku == sku && bought.state == "PAYED").count()
        };
        assert_eq!(i64::try_from(sold(scarce)).unwrap(), SCARCE, "as many as there were");
        let left = 1_000_000 - i64::try_from(sold(plenty)).unwrap();
        self.shop.stock_becomes(plenty, (left, 0)).await;
        self.shop.stock_becomes(scarce, (0, 0)).await;
        self.shop.is_sound().await;
        let wanted: HashSet<(i64, &str)> =
            purchases.iter().map(|bought| (bought.order, bought.state)).collect();
        assert_eq!(wanted.len(), purchases.len(), "each order has an id of its own");
        told_in_order(self.shop.events(), &wanted);
    }
}

/// Reads events until each of the orders has been told to its end. An event may come again as what it was; a new one of
/// an order never comes out of its turn.
fn told_in_order(mut reader: EventReader, wanted: &HashSet<(i64, &str)>) {
    let mut missing: HashSet<(i64, String)> =
        wanted.iter().map(|(order, state)| (*order, (*state).to_owned())).collect();
    let mut looked_at = 0;
    let events = reader.until("all orders", |events| {
        for event in &events[looked_at..] {
            missing.remove(&(event.order(), event.step().1));
        }
        looked_at = events.len();
        missing.is_empty()
    });
    let mut known: HashMap<String, (i64, i64)> = HashMap::new();
    let mut last: HashMap<i64, i64> = HashMap::new();
    for event in events {
        let (order, (sequence, state)) = (event.order(), event.step());
        let id = event.header("ce_id").to_owned();
        if let Some(first) = known.get(&id) {
            assert_eq!(
                *first,
                (order, sequence),
                "an event that comes again is the same: {event:?}"
            );
            continue;
        }
        known.insert(id, (order, sequence));
        let before = last.insert(order, sequence).unwrap_or_default();
        assert_eq!(sequence, before + 1, "order {order} is told {state} behind its event {before}");
    }
}

#[tokio::test]
async fn an_instance_that_is_killed_under_load_loses_its_relays_to_the_others() {
    let mut instances = Instances::start().await;
    let buyers = instances.buyers();
    let [holder, _] = instances.holders(SOON, &[0, 1, 2]).await;
    instances.publishes(SOON, holder, "0").await;
    instances.process(holder).kill9();
    let living: Vec<usize> = (0..3).filter(|instance| *instance != holder).collect();
    let killed = Instant::now();
    let holders = instances.holders(SOON, &living).await;
    for (shard, holder) in SHARDS.into_iter().zip(holders) {
        instances.publishes(SOON, holder, shard).await;
    }
    let mut takeovers = vec![killed.elapsed()];

    instances.process(holder).restart().await;
    let [next, _] = instances.holders(SOON, &[0, 1, 2]).await;
    assert_ne!(next, holder, "who holds the relay keeps it");
    instances.process(next).kill9();
    let living: Vec<usize> = (0..3).filter(|instance| *instance != next).collect();
    let killed = Instant::now();
    let [last, _] = instances.holders(SOON, &living).await;
    instances.publishes(SOON, last, "0").await;
    takeovers.push(killed.elapsed());
    assert!(takeovers.iter().min() < Some(&TAKEOVER), "{takeovers:?}");
    instances.end_well(buyers).await;
}

#[tokio::test]
async fn an_instance_that_freezes_while_it_publishes_is_replaced_and_publishes_nothing_when_it_thaws()
 {
    let mut instances = Instances::start().await;
    let buyers = instances.buyers();
    let mut takeovers = Vec::new();
    for _ in 0..3 {
        let [holder, _] = instances.holders(SOON, &[0, 1, 2]).await;
        instances.publishes(SOON, holder, "0").await;
        instances.process(holder).signal(Signal::SIGSTOP);
        let others: Vec<usize> = (0..3).filter(|instance| *instance != holder).collect();
        let (client, lines) = (&instances.clients[others[0]], [(instances.shop.stock(1).await, 1)]);
        let user = new_user();
        let sale = async || client.create_keyed(user, &lines, "key").await;
        let sale = eventually(SALE, "the others sell", sale);
        let frozen = Instant::now();
        let (holders, _) = tokio::join!(instances.holders(SOON, &others), sale);
        for (shard, holder) in SHARDS.into_iter().zip(holders) {
            instances.publishes(SOON, holder, shard).await;
        }
        takeovers.push(frozen.elapsed());
        instances.process(holder).signal(Signal::SIGCONT);
        let [next, _] = instances.holders(SOON, &[0, 1, 2]).await;
        assert_ne!(next, holder, "who thaws has lost the relay");
    }
    assert!(takeovers.iter().min() < Some(&TAKEOVER), "{takeovers:?}");
    instances.end_well(buyers).await;
}

#[tokio::test]
async fn what_a_frozen_instance_has_locked_is_sold_by_another_one() {
    let mut shop = Loms::start(&Servers::from_env(), Env::new()).await;
    let (_other, other) = shop.another().await;
    let (loms, sku, user) = (shop.client(), shop.stock(2).await, new_user());
    let mut blocker = shop.shards[0].connect().await;
    let lock = format!("begin; select from stock where sku = {sku} for update");
    blocker.execute(AssertSqlSafe(lock)).await.unwrap();
    let held = spawn(async move { loms.create_keyed(user, &[(sku, 1)], "key").await });
    let mut watcher = shop.shards[0].connect().await;
    eventually(SOON, "the first instance waits for the stock", async || {
        let waiting = "select count(*) > 0 from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut watcher).await.unwrap()
    })
    .await;
    shop.process.signal(Signal::SIGSTOP);
    // The first instance gets its lock now, and does nothing with it.
    blocker.execute("rollback").await.unwrap();
    eventually(SALE, "the other one sells", async || {
        other.create_keyed(user, &[(sku, 1)], "key").await
    })
    .await;

    shop.process.signal(Signal::SIGCONT);
    let order = other.create_keyed(user, &[(sku, 1)], "key").await.unwrap();
    match held.await.unwrap() {
        Ok(same) => assert_eq!(same, order),
        Err(refusal) => {
            assert!(
                [Code::Unavailable, Code::DeadlineExceeded].contains(&refusal.code()),
                "{refusal}"
            );
        }
    }
    shop.stock_becomes(sku, (2, 1)).await;
    shop.is_sound().await;
}
