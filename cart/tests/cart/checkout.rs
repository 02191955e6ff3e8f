//! Turning a cart into an order, with and without failures.

use futures::future::join_all;
use futures::join;
use serde_json::json;
use tonic::Code;

use crate::support::{Client, Fate, SOON, Shop, eventually};

#[actix_web::test]
async fn a_checkout_orders_the_cart_and_empties_it() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    assert_eq!(client.checkout(1).await.status, 404);
    client.fill(1, &[(1003, 2), (1002, 1)]).await;
    let ordered = client.checkout(1).await;
    assert_eq!((ordered.status, ordered.body), (200, json!({"orderID": 1000})));
    let orders = shop.loms.orders();
    assert_eq!((orders[0].user, orders[0].items.as_slice()), (1, &[(1002, 1), (1003, 2)][..]));
    assert_eq!(client.show(1).await.status, 404);
    assert_eq!(client.checkout(1).await.code(), "NOT_FOUND");
    assert_eq!(shop.count("select count(*) from checkout_intents").await, 0);
    cart.stop().await;
}

#[actix_web::test]
async fn what_is_added_during_a_checkout_stays_in_the_cart() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.hold(true);
    let meanwhile = async {
        eventually(SOON, "the order service was asked", async || shop.loms.keys_asked().len() == 1)
            .await;
        assert_eq!(
            client.add(1, 1003, 5).await.status,
            200,
            "the checkout does not hold up the cart"
        );
        assert_eq!(client.add(1, 1004, 1).await.status, 200);
        assert_eq!(client.lines(1).await, [(1003, 7), (1004, 1)]);
        shop.loms.hold(false);
    };
    let (ordered, ()) = join!(client.checkout(1), meanwhile);
    assert_eq!(ordered.status, 200);
    assert_eq!(shop.loms.orders()[0].items, [(1003, 2)]);
    assert_eq!(client.lines(1).await, [(1003, 5), (1004, 1)]);
    cart.stop().await;
}

#[actix_web::test]
async fn concurrent_checkouts_of_one_cart_make_one_order() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    let replies = join_all((0..40).map(|_| client.checkout(1))).await;
    assert!(replies.iter().any(|reply| reply.status == 200));
    for reply in replies {
        assert!(reply.status == 404 || reply.body == json!({"orderID": 1000}), "{reply:?}");
    }
    assert_eq!(shop.loms.orders().len(), 1);
    cart.stop().await;
}

#[actix_web::test]
async fn a_checkout_without_stock_leaves_the_cart_as_it_was() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.next([Fate::Refused(Code::FailedPrecondition)]);
    let refused = client.checkout(1).await;
    assert_eq!((refused.status, refused.code()), (412, "FAILED_PRECONDITION"));
    assert_eq!(client.lines(1).await, [(1003, 2)]);
    assert_eq!(shop.count("select count(*) from checkout_intents").await, 0);
    assert_eq!(client.checkout(1).await.status, 200);
    let keys = shop.loms.keys_asked();
    assert_ne!(keys[0], keys[1], "another attempt of the user is another order");
    cart.stop().await;
}

#[actix_web::test]
async fn a_rejected_order_is_a_bad_gateway_and_leaves_no_intent() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.next([Fate::Refused(Code::InvalidArgument)]);
    assert_eq!(client.checkout(1).await.status, 502);
    assert_eq!(shop.count("select count(*) from checkout_intents").await, 0);
    assert_eq!(client.lines(1).await, [(1003, 2)]);
    cart.stop().await;
}

#[actix_web::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.next([Fate::AnswerLost(Code::Unavailable), Fate::AnswerLost(Code::Internal)]);
    assert_eq!(client.checkout(1).await.body, json!({"orderID": 1000}));
    let keys = shop.loms.keys_asked();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_eq!(shop.loms.orders().len(), 1);
    assert_eq!(client.show(1).await.status, 404);
    cart.stop().await;
}

#[actix_web::test]
async fn an_unknown_outcome_is_settled_by_the_next_checkout() {
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "1h");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.next([Fate::AnswerLost(Code::Unavailable); 4]);
    let unknown = client.checkout_with_key(1, "a").await;
    assert_eq!((unknown.status, unknown.code()), (503, "UNAVAILABLE"));
    // One second with 50% jitter.
    assert!(matches!(unknown.retry_after, Some(1 | 2)), "{:?}", unknown.retry_after);
    assert_eq!(shop.count("select count(*) from checkout_intents").await, 1);
    assert_eq!(client.lines(1).await, [(1003, 2)], "nothing is taken before the outcome is known");
    assert_eq!(client.checkout_with_key(1, "a").await.body, json!({"orderID": 1000}));
    assert_eq!(shop.loms.orders().len(), 1);
    assert_eq!(client.show(1).await.status, 404);
    assert_eq!(shop.count("select count(*) from checkout_intents").await, 0);
    cart.stop().await;
}

#[actix_web::test]
async fn silence_is_answered_in_time_and_settled_by_the_sweeper() {
    let mut shop = Shop::open().await;
    shop.set("LOMS_TIMEOUT", "500ms").set("CHECKOUT_GRACE", "100ms").set("SWEEP_INTERVAL", "50ms");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.next([Fate::Silence; 4]);
    let unknown = client.checkout_with_key(1, "a").await;
    assert_eq!((unknown.status, unknown.code()), (504, "DEADLINE_EXCEEDED"));
    eventually(SOON, "the cart is empty", async || client.show(1).await.status == 404).await;
    assert_eq!(
        client.checkout_with_key(1, "a").await.body,
        json!({"orderID": 1000}),
        "the key remembers the order"
    );
    assert_eq!(shop.loms.orders().len(), 1);
    cart.stop().await;
}

#[actix_web::test]
async fn a_checkout_left_open_by_a_stop_is_settled_after_the_next_start() {
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "1h");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.next([Fate::AnswerLost(Code::Unavailable); 4]);
    assert_eq!(client.checkout(1).await.status, 503);
    cart.stop().await;

    shop.set("CHECKOUT_GRACE", "100ms");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    eventually(SOON, "the cart is empty", async || client.show(1).await.status == 404).await;
    assert_eq!(shop.loms.orders().len(), 1);
    cart.stop().await;
}

#[actix_web::test]
async fn an_outcome_that_nobody_will_ever_know_is_a_bad_gateway_and_its_intent_stands() {
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "1h");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    for code in [Code::NotFound, Code::Unimplemented, Code::Internal] {
        shop.loms.refuse_user(1, Some(code));
        assert_eq!(client.checkout(1).await.status, 502, "{code:?}");
        assert_eq!(shop.count("select count(*) from checkout_intents").await, 1);
        shop.execute("update checkout_intents set next_attempt_at = now()").await;
    }
    shop.loms.refuse_user(1, None);
    eventually(SOON, "the order is made", async || {
        let reply = client.checkout(1).await;
        (reply.body == json!({"orderID": 1000})).then_some(()).ok_or(reply)
    })
    .await;
    cart.stop().await;
}

#[actix_web::test]
async fn checkouts_that_cannot_be_settled_hold_up_no_younger_ones() {
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "1ms").set("SWEEP_INTERVAL", "50ms");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    let left_open = async |user: i64| {
        let (code, status) =
            if user % 3 == 0 { (Code::Unavailable, 503) } else { (Code::Internal, 502) };
        shop.loms.refuse_user(user, Some(code));
        client.fill(user, &[(1003, 2)]).await;
        assert_eq!(client.checkout(user).await.status, status);
    };
    let (older, younger) = (1..=40, 41..=44);
    join_all(older.map(left_open)).await;
    join_all(younger.clone().map(left_open)).await;
    younger.clone().for_each(|user| shop.loms.refuse_user(user, None));
    for user in younger {
        eventually(SOON, "the cart is empty", async || client.show(user).await.status == 404).await;
    }
    assert_eq!(shop.count("select count(*) from checkout_intents").await, 40);
    cart.stop().await;
}

#[actix_web::test]
async fn an_order_that_was_cancelled_before_its_checkout_was_settled_leaves_the_cart_as_it_was() {
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "1h");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    for user in [1, 2] {
        client.fill(user, &[(1003, 2)]).await;
        shop.loms.next([Fate::Refused(Code::Unavailable); 4]);
        assert_eq!(client.checkout_with_key(user, "a").await.status, 503);
    }
    shop.loms.cancel(1000);
    let refused = client.checkout_with_key(1, "a").await;
    assert_eq!((refused.status, refused.code()), (412, "FAILED_PRECONDITION"));
    assert_eq!(client.lines(1).await, [(1003, 2)]);
    assert_eq!(
        client.checkout_with_key(1, "a").await.body,
        json!({"orderID": 2000}),
        "the key is free"
    );
    assert_eq!(
        client.checkout_with_key(2, "a").await.body,
        json!({"orderID": 3000}),
        "asked for once more, and alive"
    );
    assert_eq!(client.show(2).await.status, 404);
    cart.stop().await;
}
