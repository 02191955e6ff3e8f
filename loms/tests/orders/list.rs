//! Lists of orders.

use std::time::Duration;

use dev::testing::eventually;
use loms::domain::{OrderId, PageRequest};

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

    // A list may lag, as far as the replica does.
    let newest = async || shop.orders.list(PageRequest { size: 100, before: None }).await.unwrap();
    let all = async || newest().await.orders.len() == 25;
    eventually(Duration::from_secs(10), "the replica has every order", all).await;
    assert_eq!(newest().await.next, None);

    let (mut read, mut before) = (Vec::new(), None);
    loop {
        let page = shop.orders.list(PageRequest { size: 10, before }).await.unwrap();
        read.extend(page.orders.iter().map(|order| order.id));
        before = page.next;
        if before.is_none() {
            break;
        }
        assert_eq!(page.orders.len(), 10);
    }
    assert_eq!(read, created);
    shop.close().await;
}
