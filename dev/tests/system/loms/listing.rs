//! `OrdersAll`.

use futures::future::join_all;
use prost::Message;
use tonic::Code;

use crate::support::proto::OrderAllResponse;
use crate::support::{Env, Loms, SOON, Servers, Shop, eventually, new_user, new_user_on, peak_kb};

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
    eventually(SOON, "the list shows all orders", async || loms.all().await.unwrap().len() == 5)
        .await;
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
    let answer = grpc
        .unary(tonic::Request::new(()), "/Loms/OrdersAll".parse().unwrap(), codec)
        .await
        .unwrap();
    assert!(!answer.into_inner().orders.is_empty());
}

/// The maximum size of an answer, in bytes.
const LIMIT: usize = 3 << 20;

/// Writes failed orders of a user of shard 1, each with `lines` lines.
async fn write_failed(shop: &Loms, orders: i64, lines: i64) {
    let mut connection = shop.shards[1].connect().await;
    let statement = "with ids as (select nextval('order_id_seq') as id from generate_series(1, $1)), written as (
            insert into orders (id, state, user_id, skus, counts, sequence)
            select id, 'FAILED', $3, array(select generate_series(4294960000 - $2, 4294959999)),
                array_fill(4294967295, array[$2::int]), 2 from ids returning id
        ) insert into order_history (order_id, sequence, state)
        select id, sequence, state from written, (values (1, 'NEW'), (2, 'FAILED')) as change (sequence, state)";
    sqlx::query(statement)
        .bind(orders)
        .bind(lines)
        .bind(new_user_on(1))
        .execute(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_list_without_a_page_size_is_all_that_fits_and_leads_on_to_the_rest() {
    let shop = Loms::start(&Servers::from_env(), Env::new()).await;
    let loms = shop.client();
    write_failed(&shop, 2_500, 1).await;
    let all = loms.page(0, "").await.unwrap();
    assert_eq!((all.orders.len(), all.next_page_token.as_str()), (2_500, ""));
    assert_eq!(loms.page(2_000, "").await.unwrap().orders.len(), 1_000);

    write_failed(&shop, 500, 1_000).await;
    let (mut ids, mut token, mut answers) = (Vec::new(), String::new(), 0);
    while answers == 0 || !token.is_empty() {
        let page = loms.page(0, &token).await.unwrap();
        assert!(page.encoded_len() <= LIMIT + 100, "{} bytes", page.encoded_len());
        ids.extend(page.orders.iter().map(|order| order.id));
        token = page.next_page_token;
        answers += 1;
    }
    assert!((3..=4).contains(&answers), "{answers} answers");
    assert!(ids.len() == 3_000 && ids.is_sorted_by(|newer, older| newer > older));

    let (mut ids, mut token, mut answers) = (0, String::new(), 0);
    while answers == 0 || !token.is_empty() {
        let answer = shop.gateway().get(&format!("/v1/orders?pageToken={token}")).await.expect(200);
        assert!(answer.body.len() <= LIMIT + 100, "{} bytes", answer.body.len());
        let page = answer.json();
        ids += page["orders"].as_array().unwrap().len();
        page["nextPageToken"].as_str().unwrap().clone_into(&mut token);
        answers += 1;
    }
    assert_eq!(ids, 3_000);
}

/// Far more than the lists that are gathered at once need, and far less than all of them would.
const GROWTH_KB: u64 = 200 * 1024;

#[tokio::test]
async fn many_lists_of_large_orders_at_once_take_bounded_memory() {
    let shop = Loms::start(&Servers::from_env(), Env::new()).await;
    let loms = shop.client();
    write_failed(&shop, 500, 1_000).await;
    loms.page(0, "").await.unwrap();
    let before = peak_kb(shop.process.id());
    let lists = join_all((0..100).map(|_| loms.page(0, ""))).await;
    let served = lists.iter().filter(|list| list.is_ok()).count();
    assert!(served > 0, "{:?}", lists[0]);
    for refusal in lists.into_iter().filter_map(Result::err) {
        // Few are gathered at once: others find the queue full, or wait in it until their deadline.
        assert!(
            [Code::ResourceExhausted, Code::DeadlineExceeded].contains(&refusal.code()),
            "{refusal}"
        );
    }
    let most = peak_kb(shop.process.id());
    assert!(
        most < before + GROWTH_KB,
        "{before} kB before, {most} kB after {served} lists of 3 MiB"
    );
}

#[tokio::test]
async fn items_can_be_queried_by_people() {
    let shop = Shop::shared().await;
    let (loms, user) = (shop.loms.client(), new_user_on(1));
    let sku = shop.loms.stock(10).await;
    let order = loms.create(user, &[(sku, 3)]).await.unwrap();
    let query = "select order_id, sku, count from items where order_id = $1";
    let mut connection = shop.loms.shards[1].connect().await;
    let rows: Vec<(i64, i64, i64)> =
        sqlx::query_as(query).bind(order).fetch_all(&mut connection).await.unwrap();
    assert_eq!(rows, [(order, i64::from(sku), 3)]);
}
