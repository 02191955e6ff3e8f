//! `notifier verify` beside a shop at work.

use std::cell::Cell;

use dev::testing::Servers;
use tokio::join;

use crate::support::{Env, SOON, Settings, Shop, eventually, new_user, run_to_end};

/// How often the databases are compared while the shop works.
const LOOKS: usize = 3;

#[tokio::test]
async fn what_a_shop_at_work_has_sent_is_what_its_history_tells() {
    let shop = Shop::start(&Servers::from_env(), Settings::default()).await;
    let loms = shop.loms.client();
    let sku = shop.loms.stock(1_000_000).await;
    let mut env: Env = shop.notifier.settings.clone();
    for (shard, database) in (0..).zip(&shop.loms.shards) {
        let own = database.master_env(shard);
        env.extend(own.into_iter().map(|(name, value)| (format!("LOMS_{name}"), value)));
    }
    let verify = async || {
        let ended = run_to_end("notifier", &["verify"], &env).await;
        assert_eq!(ended.code, Some(0), "{}", ended.output);
        ended.output
    };

    let closed = Cell::new(false);
    let orders = Cell::new(0);
    let trade = async {
        while !closed.get() {
            let order = loms.create(new_user(), &[(sku, 1)]).await.unwrap();
            orders.set(orders.get() + 1);
            if order % 3 == 0 {
                loms.cancel(order).await.unwrap();
            } else {
                loms.pay(order).await.unwrap();
            }
        }
    };
    let look = async {
        for _ in 0..LOOKS {
            verify().await;
        }
        closed.set(true);
    };
    join!(trade, look);
    // An event counts as published once its row has left the outbox.
    let events = (3 * orders.get()).to_string();
    eventually(SOON, "every event is checked", async || {
        let report = verify().await;
        let line = report.lines().find(|line| line.starts_with("event-received")).unwrap();
        let numbers: Vec<&str> = line.split_whitespace().skip(1).collect();
        if numbers == [events.as_str(), "events", "0", "0"] { Ok(()) } else { Err(report) }
    })
    .await;
}
