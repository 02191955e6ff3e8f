//! More buyers than stock.

use futures::future::join_all;
use tonic::Code;

use crate::support::{LomsClient, Shop, new_user_on};

const UNITS: usize = 100;
const BUYERS: usize = 400;

#[tokio::test]
async fn a_hundred_units_and_four_hundred_concurrent_buyers_sell_exactly_a_hundred() {
    let shop = Shop::shared().await;
    let sku = shop.loms.stock(i64::try_from(UNITS).unwrap()).await;
    let connections: Vec<LomsClient> = (0..8).map(|_| shop.loms.client()).collect();
    let users: Vec<i64> =
        (0..BUYERS).map(|buyer| new_user_on(u32::try_from(buyer % 2).unwrap())).collect();
    let buy = async |(buyer, user): (usize, &i64)| {
        let client = &connections[buyer % connections.len()];
        client.create(*user, &[(sku, 1)]).await
    };
    let outcomes = join_all(users.iter().enumerate().map(buy)).await;

    let sold = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    for refusal in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(refusal.code(), Code::FailedPrecondition, "{refusal}");
    }
    assert_eq!(sold, UNITS);
    assert_eq!(shop.loms.client().available(sku).await.unwrap(), 0);
    assert_eq!(shop.loms.stock_row(sku).await, (100, 100));

    let bought: Vec<i64> = outcomes.into_iter().flatten().collect();
    let payments = join_all(bought.iter().map(|order| connections[0].pay(*order))).await;
    assert!(payments.iter().all(Result::is_ok), "{payments:?}");
    shop.loms.stock_becomes(sku, (0, 0)).await;
}

#[tokio::test]
async fn orders_of_several_skus_in_any_order_neither_block_each_other_nor_oversell() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let (a, b, c) =
        (shop.loms.stock(60).await, shop.loms.stock(60).await, shop.loms.stock(60).await);
    let lines = [[(a, 1), (b, 1), (c, 1)], [(c, 1), (b, 1), (a, 1)], [(b, 1), (c, 1), (a, 1)]];
    let buy = async |buyer: usize| {
        let user = new_user_on(u32::try_from(buyer % 2).unwrap());
        loms.create(user, &lines[buyer % lines.len()]).await
    };
    let outcomes = join_all((0..150).map(buy)).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 60);
    let refused = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert!(refused.clone().all(|refusal| refusal.code() == Code::FailedPrecondition));
    for sku in [a, b, c] {
        assert_eq!(shop.loms.stock_row(sku).await, (60, 60));
    }
}
