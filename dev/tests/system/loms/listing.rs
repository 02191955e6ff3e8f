//! `OrdersAll`.

use tonic::Code;

use crate::support::proto::OrderAllResponse;
use crate::support::{Env, Loms, SOON, Servers, Shop, eventually, new_user, new_user_on};

#[tokio::test]
async fn all_orders_are_listed_newest_id_first() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let sku = shop.loms.stock(10).await;
    let failed_user = new_user();
    loms.create(failed_user, &[(sku, 11)]).await.unwrap_err();
    let failed = shop.loms.orders_of(failed_user).await[0].0;
    let on_both = [
        loms.create(new_user_on(0), &[(sku, 1)]).await.unwrap(),
        loms.create(new_user_on(1), &[(sku, 2)]).await.unwrap(),
    ];
    loms.pay(on_both[1]).await.unwrap();
    let orders = eventually(SOON, "the list shows the latest orders", async || {
        let orders = loms.all().await.unwrap();
        let states: Vec<_> = [failed, on_both[0], on_both[1]]
            .iter()
            .map(|id| orders.iter().find(|order| order.id == *id).map(|order| order.status.clone()))
            .collect();
        let expected = ["FAILED", "AWAITING_PAYMENT", "PAYED"].map(|state| Some(state.to_owned()));
        if states == expected { Ok(orders) } else { Err(states) }
    })
    .await;
    let ids: Vec<i64> = orders.iter().map(|order| order.id).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
    for listed in orders.iter().filter(|order| on_both.contains(&order.id)) {
        assert_eq!(*listed, loms.info(listed.id).await.unwrap());
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let shop = Loms::start(&Servers::from_env(), Env::new()).await;
    let loms = shop.client();
    let sku = shop.stock(10).await;
    let mut created = Vec::new();
    for shard in [0, 1, 1, 1, 0] {
        created.push(loms.create(new_user_on(shard), &[(sku, 1)]).await.unwrap());
    }
    created.sort_unstable_by(|older, newer| newer.cmp(older));
    eventually(SOON, "the list shows all orders", async || loms.all().await.unwrap().len() == 5).await;
    eventually(SOON, "so do its pages", async || {
        let (mut pages, mut token) = (Vec::new(), String::new());
        while pages.is_empty() || !token.is_empty() {
            let page = loms.page(2, &token).await.unwrap();
            pages.push(page.orders.iter().map(|order| order.id).collect::<Vec<i64>>());
            token = page.next_page_token;
        }
        if pages.iter().eq(created.chunks(2)) { Ok(()) } else { Err(pages) }
    })
    .await;
    let page = shop.gateway().get("/v1/orders?pageSize=1").await.expect(200).json();
    assert_eq!(page["orders"][0]["id"], created[0].to_string());
    assert_eq!(page["orders"].as_array().unwrap().len(), 1);
    assert_eq!(loms.page(2, "no token").await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_client_that_sends_an_empty_message_gets_the_first_page() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let sku = shop.loms.stock(10).await;
    loms.create(new_user(), &[(sku, 1)]).await.unwrap();
    let mut grpc = tonic::client::Grpc::new(loms.channel()).max_decoding_message_size(64 << 20);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), OrderAllResponse>::default();
    let answer =
        grpc.unary(tonic::Request::new(()), "/Loms/OrdersAll".parse().unwrap(), codec).await.unwrap();
    assert!(!answer.into_inner().orders.is_empty());
}
