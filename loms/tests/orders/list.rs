//! Lists of orders.

use std::time::Duration;

use dev::testing::eventually;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use loms::domain::{Failure, OrderError, OrderId, PageRequest};

use crate::shop::{Backend, order};

#[actix::test]
async fn pages_lead_through_all_shards_from_the_newest_order_to_the_oldest() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let mut created: Vec<OrderId> = Vec::new();
    for user in 1..=25 {
        created.push(shop.orders.create(order(user, &[(1002, 1)])).await.unwrap());
    }
    created.sort_by_key(|order| std::cmp::Reverse(*order));

    // A list may lag by as much as the replica does.
    let newest = async || shop.orders.list(PageRequest { size: 100, before: None }).await.unwrap();
    let all = async || newest().await.orders.len() == 25;
    eventually(Duration::from_secs(10), "the replica has every order", all).await;
    assert_eq!(newest().await.next, None);

    eventually(Duration::from_secs(10), "the pages are all of it", async || {
        let (mut read, mut before) = (Vec::new(), None);
        loop {
            let page = shop.orders.list(PageRequest { size: 10, before }).await.unwrap();
            read.extend(page.orders.iter().map(|order| order.id));
            before = page.next;
            if before.is_none() {
                break if read == created { Ok(()) } else { Err(read) };
            }
            assert_eq!(page.orders.len(), 10);
        }
    })
    .await;
    shop.close().await;
}

#[actix::test]
async fn lists_that_are_too_many_are_refused_at_once() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let id = shop.orders.create(order(1, &[(1002, 1)])).await.unwrap();
    let mut stuck = backend.pools[1].begin().await.unwrap();
    sqlx::query("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").execute(&mut *stuck).await.unwrap();

    let first = PageRequest { size: 10, before: None };
    let mut lists: FuturesUnordered<_> = (0..100).map(|_| shop.orders.list(first)).collect();
    for _ in 66..100 {
        let refused = lists.next().await.unwrap();
        assert!(
            matches!(refused, Err(OrderError::Failed(Failure::Overloaded { .. }))),
            "{refused:?}"
        );
    }
    stuck.rollback().await.unwrap();
    while let Some(served) = lists.next().await {
        assert_eq!(served.unwrap().orders[0].id, id);
    }
    drop(lists);
    shop.close().await;
}
