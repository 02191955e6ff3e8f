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
    shop.execute("update carts set skus = array[null]::bigint[] where user_id = 1").await;
    let broken = join_all((0..20).map(|_| client.show(1)));
    let others = join_all((0..140).map(|n| client.show(2 + n % 7)));
    let (broken, others) = join(broken, others).await;
    assert!(broken.iter().all(|reply| (reply.status, reply.code()) == (500, "INTERNAL")), "{broken:?}");
    assert!(others.iter().all(|reply| reply.status == 200), "{others:?}");
    cart.stop().await;
}
