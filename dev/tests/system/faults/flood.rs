//! Ten times more than loms can hold, all the time: each call is answered, nothing piles up, and what was admitted is right.

use std::cell::Cell;
use std::collections::HashSet;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{
    Env, Loms, LomsClient, SOON, Servers, eventually, new_user_on, resident_kb, set,
};

/// What one shard's actor may hold.
const CAPACITY: usize = 16;
const CONNECTIONS: usize = 8;
/// Ten times what both shards may hold.
const CALLERS: usize = 10 * 2 * CAPACITY;
const CALLS_EACH: usize = 6;

/// No call may hang: the deadline of each is far earlier.
const NO_ANSWER: Duration = Duration::from_secs(30);

/// Far more than the same load needs a second time, and far less than one that kept a kilobyte or two of each call.
const GROWTH_KB: u64 = 24 * 1024;

/// Calls as fast as answers come, whatever they say; returns the orders that were created.
async fn calls(loms: LomsClient, sku: u32) -> Vec<i64> {
    let mut orders = Vec::new();
    for call in 0..CALLS_EACH {
        let user = new_user_on(u32::from(call % 2 == 0));
        let lines = [(sku, 1)];
        let answer =
            timeout(NO_ANSWER, loms.create(user, &lines)).await.expect("each call is answered");
        match answer {
            Ok(order) => orders.push(order),
            Err(refusal) => require_refusal(&refusal),
        }
    }
    orders
}

fn require_refusal(refusal: &Status) {
    assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal}");
    let delay = refusal.get_details_retry_info().and_then(|info| info.retry_delay);
    assert!(delay.is_some_and(|delay| delay > Duration::ZERO), "{refusal:?} names no time");
}

/// Lets all callers loose at once, and looks meanwhile at what loms holds; returns the orders that were created.
async fn flood(shop: &Loms, sku: u32) -> Vec<i64> {
    let over = Cell::new(false);
    let callers = async {
        let clients: Vec<LomsClient> = (0..CONNECTIONS).map(|_| shop.client()).collect();
        let created =
            join_all((0..CALLERS).map(|caller| calls(clients[caller % CONNECTIONS].clone(), sku)));
        let created = created.await.concat();
        over.set(true);
        created
    };
    let looks = async {
        while !over.get() {
            let samples = shop.samples().await;
            for (actor, capacity) in [("order_shard", 2 * CAPACITY), ("stock_shard", CAPACITY)] {
                for gauge in ["actor_mailbox_depth", "actor_messages_in_flight"] {
                    let held = samples.sum(gauge, &[("actor", actor)]);
                    assert!(
                        held <= f64::from(u32::try_from(capacity).unwrap()),
                        "{held} of {actor}: {gauge}"
                    );
                }
            }
        }
    };
    tokio::join!(callers, looks).0
}

#[tokio::test]
async fn a_flood_of_orders_is_refused_but_for_what_can_be_held() {
    let small: Env = vec![set("ACTOR_CAPACITY", CAPACITY)];
    let shop = Loms::start(&Servers::from_env(), small).await;
    let sku = shop.stock(1_000_000).await;
    let mut created = flood(&shop, sku).await;
    let before = resident_kb(shop.process.id());
    created.extend(flood(&shop, sku).await);
    created.extend(flood(&shop, sku).await);
    let after = resident_kb(shop.process.id());
    assert!(
        after < before + GROWTH_KB,
        "{before} kB in use after the first flood, {after} kB after the third"
    );

    let refused = [("actor", "order_shard"), ("outcome", "overloaded")];
    let refused = shop.samples().await.sum("actor_messages_total", &refused);
    let all = f64::from(u32::try_from(3 * CALLERS * CALLS_EACH).unwrap());
    let answered = f64::from(u32::try_from(created.len()).unwrap());
    assert!(
        refused > 0.0 && answered > 0.0,
        "{answered} of {all} orders created, {refused} refused"
    );
    assert!((answered + refused - all).abs() < 0.5, "{answered} and {refused} are not {all}");

    let ids: HashSet<i64> = created.iter().copied().collect();
    assert_eq!(ids.len(), created.len(), "each order has an id of its own");
    let stored: Vec<(i64, String)> = shop.orders().await.into_values().flatten().collect();
    assert!(stored.iter().all(|(id, state)| ids.contains(id) && state == "AWAITING_PAYMENT"));
    assert_eq!(stored.len(), ids.len(), "what was refused has left nothing behind");
    assert_eq!(shop.stock_row(sku).await, (1_000_000, i64::try_from(ids.len()).unwrap()));
    shop.is_sound().await;

    let loms = shop.client();
    eventually(SOON, "orders are created as ever", async || {
        loms.create(new_user_on(0), &[(sku, 1)]).await
    })
    .await;
}
