//! Where orders are stored and how they are numbered.

use sqlx::Connection;

use crate::support::{Env, Loms, Servers, Shop, new_user_on, shard_of};

/// Users and `murmur3_32(decimal id, seed 0) mod 2`, computed once by another program.
const USERS: [(i64, i64); 16] = [
    (1, 1),
    (2, 1),
    (3, 0),
    (7, 0),
    (10, 1),
    (42, 0),
    (100, 1),
    (999, 1),
    (1000, 0),
    (12_345, 1),
    (2_147_483_647, 0),
    (2_147_483_648, 1),
    (4_294_967_296, 1),
    (31_337_000, 0),
    (9_007_199_254_740_993, 1),
    (i64::MAX, 0),
];

#[tokio::test]
async fn an_order_lives_on_the_shard_of_its_user_and_its_id_says_so() {
    let shop = Shop::shared().await;
    let loms = shop.loms.client();
    let sku = shop.loms.stock(100).await;
    for (user, shard) in USERS {
        assert_eq!(i64::from(shard_of(user, 2)), shard, "the tests' own rule for user {user}");
        let order = loms.create(user, &[(sku, 1)]).await.unwrap();
        assert_eq!(order % 1000, shard, "order {order} of user {user}");
        let database = &shop.loms.shards[usize::try_from(shard).unwrap()];
        let mut connection = database.connect().await;
        let owner: i64 = sqlx::query_scalar("select user_id from orders where id = $1")
            .bind(order)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(owner, user);
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn ids_start_at_1000_and_the_shard_and_go_in_steps_of_1000() {
    let loms = Loms::start(&Servers::from_env(), Env::new()).await;
    let client = loms.client();
    let sku = loms.stock(100).await;
    for shard in [0_u32, 1] {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(client.create(new_user_on(shard), &[(sku, 1)]).await.unwrap());
        }
        let first = 1000 + i64::from(shard);
        assert_eq!(ids, [first, first + 1000, first + 2000]);
    }
}
