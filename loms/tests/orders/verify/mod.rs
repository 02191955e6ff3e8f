//! `loms verify` reports nothing about a working shop, and reports each kind of damage exactly.

mod command;
mod corruptions;
mod healthy;
mod seeded;

use std::collections::BTreeMap;

use dev::testing::{Database, Servers};
use loms::Settings;
use loms::domain::OrderId;
use loms::verify::{Report, verify};
use service_kit::settings::Reader;

use crate::shop::{Backend, order};

/// The user of each shard. A quiet shop holds the same kinds of orders for each of them.
const USERS: [i64; 2] = [5, 1];
const LINES: [(u32, u32); 2] = [(1002, 2), (1003, 3)];
const OTHER_LINES: [(u32, u32); 1] = [(1004, 1)];

/// A shop that has closed, with orders in all states and no work in progress. On shard 1, order
/// 1001 is paid, 2001 cancelled, 3001 and 4001 await payment, and 5001 failed. Shard 0 has the same
/// with 1000, 2000 and so on.
async fn quiet_shop() -> Backend {
    let backend = Backend::new().await;
    let shop = backend.open(&[("SWEEP_INTERVAL", "50ms")]).await;
    for (shard, user) in (0..).zip(USERS) {
        let create = async |lines: &[(u32, u32)]| shop.orders.create(order(user, lines)).await;
        let paid = create(&LINES).await.unwrap();
        let cancelled = create(&LINES).await.unwrap();
        let awaiting = create(&LINES).await.unwrap();
        let other = create(&OTHER_LINES).await.unwrap();
        create(&[(1002, 100_000)]).await.unwrap_err();
        shop.orders.pay(paid).await.unwrap();
        shop.orders.cancel(cancelled).await.unwrap();
        let ids = [paid, cancelled, awaiting, other].map(OrderId::get);
        assert_eq!(ids, [1000, 2000, 3000, 4000].map(|first| first + shard));
    }
    backend.at_rest().await;
    shop.close().await;
    for pool in &backend.pools {
        pool.close().await;
    }
    backend
}

/// The settings for these databases.
fn settings(databases: &[Database; 2], extra: &[(&str, &str)]) -> Settings {
    Settings::read(Reader::from_pairs(environment(databases, extra))).unwrap()
}

fn environment(databases: &[Database; 2], extra: &[(&str, &str)]) -> Vec<(String, String)> {
    let servers = Servers::from_env();
    let mut pairs = vec![("KAFKA_BROKER".to_owned(), servers.kafka)];
    for (shard, database) in (0..).zip(databases) {
        pairs.extend(database.master_env(shard));
    }
    pairs.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    pairs
}

/// Runs the verification with little time for sweepers.
async fn verified(databases: &[Database; 2]) -> Report {
    verify(&settings(databases, &[("SWEEP_INTERVAL", "10ms")])).await.unwrap()
}

/// The violated invariants, with the ids that the report names.
fn violations(report: &Report) -> BTreeMap<&'static str, Vec<i64>> {
    report.violated().map(|finding| (finding.invariant.name, finding.ids.clone())).collect()
}

/// The number of unfinished items, by invariant.
fn open(report: &Report) -> BTreeMap<&'static str, u64> {
    let open = report.findings.iter().filter(|finding| finding.open > 0);
    open.map(|finding| (finding.invariant.name, finding.open)).collect()
}
