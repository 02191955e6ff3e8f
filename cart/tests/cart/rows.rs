//! Invalid rows, as manual SQL statements can create them.

use futures::future::{join, join_all};

use crate::support::{Client, Shop};

#[actix_web::test]
async fn a_row_that_makes_no_sense_fails_its_own_user_alone() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    for user in [1, 2, 3, 4, 5, 6, 7, 8] {
        client.fill(user, &[(1003, 1)]).await;
    }
    for edit in [
        "update carts set skus = '{NULL}' where user_id = 1",
        "update carts set skus = '{{1003}}' where user_id = 1",
    ] {
        shop.execute(edit).await;
        let broken = join_all((0..20).map(|_| client.show(1)));
        let others = join_all((0..140).map(|n| client.show(2 + n % 7)));
        let (broken, others) = join(broken, others).await;
        assert!(
            broken.iter().all(|reply| (reply.status, reply.code()) == (500, "INTERNAL")),
            "{broken:?}"
        );
        assert!(others.iter().all(|reply| reply.status == 200), "{others:?}");
    }
    cart.stop().await;
}

#[actix_web::test]
async fn a_change_that_the_database_refuses_fails_alone() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 1)]).await;
    shop.execute("alter table carts add check (user_id <> 2)").await;
    let changes = join_all((1..=100).map(|user| client.add(user, 1003, 1))).await;
    for (user, reply) in (1..).zip(&changes) {
        let expected = if user == 2 { 500 } else { 200 };
        assert_eq!(reply.status, expected, "user {user}: {reply:?}");
    }
    cart.stop().await;
}
