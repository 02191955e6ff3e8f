//! `Idempotency-Key`, case by case.

use futures::future::join_all;
use futures::stream::FuturesUnordered;
use futures::{StreamExt, join};
use tonic::Code;

use crate::support::{Client, Fate, SOON, Shop, eventually};

#[actix_web::test]
async fn the_same_key_and_request_is_done_once() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    for _ in 0..3 {
        assert_eq!(client.add_with_key(1, 1003, 2, "a").await.status, 200);
    }
    assert_eq!(client.add_with_key(2, 1003, 2, "a").await.status, 200, "keys belong to their user");
    assert_eq!(client.lines(1).await, [(1003, 2)]);
    let first = client.checkout_with_key(1, "b").await;
    assert_eq!(first.status, 200);
    assert_eq!(client.add(1, 1004, 1).await.status, 200);
    assert_eq!(client.checkout_with_key(1, "b").await, first);
    assert_eq!(client.lines(1).await, [(1004, 1)]);
    assert_eq!(shop.loms.orders().len(), 1);

    cart.stop().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    assert_eq!(client.checkout_with_key(1, "b").await, first, "answers outlive a restart");
    assert_eq!(client.add_with_key(1, 1003, 2, "a").await.status, 200);
    assert_eq!(client.lines(1).await, [(1004, 1)]);
    cart.stop().await;
}

#[actix_web::test]
async fn a_repeated_request_needs_no_dependency() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    assert_eq!(client.add_with_key(1, 1003, 2, "a").await.status, 200);
    shop.loms.stock(1003, 0);
    assert_eq!(client.add_with_key(1, 1003, 2, "a").await.status, 200);
    assert_eq!(client.add_with_key(1, 1003, 2, "b").await.status, 412);
    cart.stop().await;
}

#[actix_web::test]
async fn the_same_key_with_another_request_is_refused() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    assert_eq!(client.add_with_key(1, 1003, 2, "a").await.status, 200);
    for other in [
        client.add_with_key(1, 1003, 3, "a").await,
        client.add_with_key(1, 1004, 2, "a").await,
        client.checkout_with_key(1, "a").await,
    ] {
        assert_eq!((other.status, other.code()), (422, "IDEMPOTENCY_KEY_REUSED"));
    }
    assert_eq!(client.lines(1).await, [(1003, 2)]);
    cart.stop().await;
}

#[actix_web::test]
async fn a_key_in_flight_is_refused_and_free_afterwards() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    assert_eq!(client.add(1, 1003, 2).await.status, 200);
    shop.loms.hold(true);
    let probe = async {
        eventually(SOON, "the order service was asked", async || shop.loms.keys_asked().len() == 1)
            .await;
        let busy = client.checkout_with_key(1, "a").await;
        shop.loms.hold(false);
        busy
    };
    let (first, busy) = join!(client.checkout_with_key(1, "a"), probe);
    assert_eq!((busy.status, busy.code()), (409, "CONFLICT"));
    assert_eq!(first.status, 200);
    assert_eq!(client.checkout_with_key(1, "a").await, first);
    cart.stop().await;
}

#[actix_web::test]
async fn a_key_is_free_after_an_error() {
    let shop = Shop::open().await;
    shop.loms.stock(1003, 1);
    let cart = shop.start().await;
    let client = Client::of(&cart);
    assert_eq!(client.add_with_key(1, 1003, 2, "a").await.status, 412);
    assert_eq!(client.add_with_key(1, 1003, 1, "a").await.status, 200);
    shop.loms.next([Fate::Refused(Code::FailedPrecondition)]);
    assert_eq!(client.checkout_with_key(1, "b").await.status, 412);
    assert_eq!(client.checkout_with_key(1, "b").await.status, 200);
    cart.stop().await;
}

#[actix_web::test]
async fn many_retries_of_one_add_at_once_add_once() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    let replies = join_all((0..30).map(|_| client.add_with_key(1, 1003, 4, "a"))).await;
    assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 409)), "{replies:?}");
    assert_eq!(client.lines(1).await, [(1003, 4)]);
    cart.stop().await;
}

#[actix_web::test]
async fn keys_are_forgotten_after_their_time() {
    let mut shop = Shop::open().await;
    shop.set("IDEMPOTENCY_TTL", "1ms");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    assert_eq!(client.add_with_key(1, 1003, 2, "a").await.status, 200);
    eventually(SOON, "the key is another request's", async || {
        client.add_with_key(1, 1003, 3, "a").await.status == 200
    })
    .await;
    assert_eq!(client.lines(1).await, [(1003, 5)]);
    cart.stop().await;
    let cart = shop.start().await;
    eventually(SOON, "the rows are gone", async || {
        shop.count("select count(*) from idempotency_keys").await == 0
    })
    .await;
    cart.stop().await;
}

#[actix_web::test]
async fn a_checkout_is_joined_by_1000_keys_and_another_one_is_told_to_come_again() {
    let mut shop = Shop::open().await;
    shop.set("CART_CAPACITY_PER_USER", "2000");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.hold(true);
    let keys: Vec<String> = (0..=1000).map(|number| number.to_string()).collect();
    let mut checkouts: FuturesUnordered<_> =
        keys.iter().map(|key| client.checkout_with_key(1, key)).collect();
    let refused = checkouts.next().await.unwrap();
    assert_eq!(
        (refused.status, refused.code()),
        (503, "UNAVAILABLE"),
        "the order may come nevertheless"
    );
    shop.loms.hold(false);
    let answers: Vec<_> = checkouts.collect().await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(shop.loms.orders().len(), 1);
    cart.stop().await;
}
