//! Two cart services on the same databases.

use futures::future::{join, join_all};
use serde_json::json;
use tonic::Code;

use crate::support::{Client, Fate, SOON, Shop, eventually};

#[actix_web::test]
async fn two_instances_that_add_to_one_cart_lose_nothing() {
    let shop = Shop::open().await;
    let (one, two) = join(shop.start(), shop.start()).await;
    let clients = [Client::of(&one), Client::of(&two)];
    let adds = (0..100).map(|n| clients[n % 2].add(9, if n % 4 < 2 { 1003 } else { 1004 }, 1));
    let replies = join_all(adds).await;
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    for client in &clients {
        assert_eq!(client.lines(9).await, [(1003, 50), (1004, 50)]);
    }
    one.stop().await;
    two.stop().await;
}

#[actix_web::test]
async fn each_instance_shows_what_the_other_wrote() {
    let shop = Shop::open().await;
    let (one, two) = join(shop.start(), shop.start()).await;
    let (first, second) = (Client::of(&one), Client::of(&two));
    for count in 1..=20 {
        assert_eq!(first.add(5, 1003, 1).await.status, 200);
        assert_eq!(second.lines(5).await, [(1003, count)]);
    }
    assert_eq!(second.clear(5).await.status, 204);
    assert_eq!(first.show(5).await.status, 404);
    assert_eq!(first.checkout(5).await.status, 404);
    one.stop().await;
    two.stop().await;
}

#[actix_web::test]
async fn a_key_is_done_once_over_both_instances() {
    let shop = Shop::open().await;
    let (one, two) = join(shop.start(), shop.start()).await;
    let clients = [Client::of(&one), Client::of(&two)];
    let replies = join_all((0..20).map(|n| clients[n % 2].add_with_key(9, 1003, 3, "a"))).await;
    assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 409)), "{replies:?}");
    assert_eq!(clients[0].lines(9).await, [(1003, 3)]);
    assert_eq!(clients[1].add_with_key(9, 1003, 4, "a").await.status, 422);
    one.stop().await;
    two.stop().await;
}

#[actix_web::test]
async fn checkouts_at_both_instances_make_one_order() {
    let shop = Shop::open().await;
    let (one, two) = join(shop.start(), shop.start()).await;
    let clients = [Client::of(&one), Client::of(&two)];
    clients[0].fill(9, &[(1003, 3)]).await;
    let replies = join_all((0..20).map(|n| clients[n % 2].checkout(9))).await;
    for reply in &replies {
        assert!(reply.status == 404 || reply.body == json!({"orderID": 1000}), "{reply:?}");
    }
    assert_eq!(shop.loms.orders().len(), 1);
    one.stop().await;
    two.stop().await;
}

#[actix_web::test]
async fn one_instance_settles_what_the_other_left_open() {
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "1h");
    let (one, two) = join(shop.start(), shop.start()).await;
    let (first, second) = (Client::of(&one), Client::of(&two));
    first.fill(9, &[(1003, 3)]).await;
    shop.loms.next([Fate::AnswerLost(Code::Unavailable); 4]);
    assert_eq!(first.checkout_with_key(9, "a").await.status, 503);
    assert_eq!(second.checkout_with_key(9, "b").await.body, json!({"orderID": 1000}));
    for (client, key) in [(&first, "a"), (&first, "b"), (&second, "a"), (&second, "b")] {
        assert_eq!(client.checkout_with_key(9, key).await.body, json!({"orderID": 1000}), "{key}");
    }
    eventually(SOON, "no intent is left", async || {
        shop.count("select count(*) from checkout_intents").await == 0
    })
    .await;
    assert_eq!(shop.loms.orders().len(), 1);
    one.stop().await;
    two.stop().await;
}

#[actix_web::test]
async fn a_key_of_a_checkout_under_way_is_no_other_request_s_at_the_other_instance() {
    let shop = Shop::open().await;
    let (one, two) = join(shop.start(), shop.start()).await;
    let (first, second) = (Client::of(&one), Client::of(&two));
    first.fill(9, &[(1003, 3)]).await;
    shop.loms.hold(true);
    let meanwhile = async {
        eventually(SOON, "the order service was asked", async || {
            !shop.loms.keys_asked().is_empty()
        })
        .await;
        let busy = second.add_with_key(9, 1003, 1, "a").await;
        shop.loms.hold(false);
        busy
    };
    let (ordered, busy) = join(first.checkout_with_key(9, "a"), meanwhile).await;
    assert_eq!((busy.status, busy.code()), (409, "CONFLICT"));
    assert_eq!(ordered.body, json!({"orderID": 1000}));
    assert_eq!(second.add_with_key(9, 1003, 1, "a").await.status, 422);
    assert_eq!(second.checkout_with_key(9, "a").await, ordered);
    one.stop().await;
    two.stop().await;
}
