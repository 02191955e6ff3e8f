//! Filling, showing and emptying a cart.

use dev::testing::create_database;
use futures::future::join_all;
use serde_json::json;

use crate::support::{Client, Shop};

#[actix_web::test]
async fn a_cart_is_filled_shown_and_emptied() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    assert_eq!(client.show(1).await.status, 404);
    let added = client.add(1, 1003, 2).await;
    assert_eq!((added.status, added.body), (200, json!({})));
    assert_eq!(client.add(1, 1002, 1).await.status, 200);
    assert_eq!(client.add(1, 1003, 3).await.status, 200);

    let shown = client.show(1).await;
    assert_eq!(shown.status, 200);
    assert_eq!(client.lines(1).await, [(1002, 1), (1003, 5)]);
    let items = shown.body["items"].as_array().unwrap();
    assert_eq!(items[1]["price"], json!(890));
    assert!(items[1]["name"].as_str().unwrap().contains("mug"));
    let total: u64 = items
        .iter()
        .map(|item| item["count"].as_u64().unwrap() * item["price"].as_u64().unwrap())
        .sum();
    assert_eq!(shown.body["total_price"], json!(total));

    assert_eq!(client.remove(1, 1002).await.status, 204);
    assert_eq!(client.remove(1, 1002).await.status, 204, "also when it was not there");
    assert_eq!(client.lines(1).await, [(1003, 5)]);
    assert_eq!(client.clear(1).await.status, 204);
    assert_eq!(client.clear(1).await.status, 204);
    assert_eq!(client.show(1).await.code(), "NOT_FOUND");
    assert_eq!(client.clear(2).await.status, 204, "also when there never was a cart");
    cart.stop().await;
}

#[actix_web::test]
async fn fifty_concurrent_adds_of_one_sku_add_up() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    let replies = join_all((0..50).map(|_| client.add(7, 1003, 3))).await;
    assert!(replies.iter().all(|reply| reply.status == 200), "{replies:?}");
    assert_eq!(client.lines(7).await, [(1003, 150)]);
    cart.stop().await;
}

#[actix_web::test]
async fn a_cart_outlives_a_restart() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    for user in 1..=10 {
        assert_eq!(Client::of(&cart).add(user, 1003, 2).await.status, 200);
    }
    cart.stop().await;
    let cart = shop.start().await;
    for user in 1..=10 {
        assert_eq!(Client::of(&cart).lines(user).await, [(1003, 2)]);
    }
    assert_eq!(shop.count("select count(*) from carts").await, 10);
    cart.stop().await;
}

#[actix_web::test]
async fn the_stock_check_counts_what_the_line_holds() {
    let shop = Shop::open().await;
    shop.loms.stock(1003, 5);
    let cart = shop.start().await;
    let client = Client::of(&cart);
    assert_eq!(client.add(1, 1003, 3).await.status, 200);
    let refused = client.add(1, 1003, 3).await;
    assert_eq!((refused.status, refused.code()), (412, "FAILED_PRECONDITION"));
    let short = json!([{"sku_id": 1003, "wanted": 6, "available": 5}]);
    assert_eq!(refused.body["details"], short);
    assert_eq!(client.add(1, 1003, 2).await.status, 200);
    assert_eq!(client.lines(1).await, [(1003, 5)]);
    cart.stop().await;
}

#[actix_web::test]
async fn a_sku_that_nobody_knows_is_refused() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    let unknown = client.add(1, 4_000_000_000, 1).await;
    assert_eq!((unknown.status, unknown.code()), (412, "FAILED_PRECONDITION"));
    assert!(unknown.body["message"].as_str().unwrap().contains("4000000000"));
    cart.stop().await;
}

#[actix_web::test]
async fn a_line_holds_65535_pieces_at_the_most() {
    let shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    assert_eq!(client.add(1, 1003, 65_535).await.status, 200);
    let refused = client.add(1, 1003, 1).await;
    assert_eq!((refused.status, refused.code()), (400, "INVALID_ARGUMENT"));
    assert_eq!(client.lines(1).await, [(1003, 65_535)]);
    cart.stop().await;
}

/// Why the shop does not start.
async fn refusal(shop: &Shop) -> String {
    let settings =
        cart::Settings::read(service_kit::settings::Reader::from_pairs(shop.env())).unwrap();
    let application = cart::Application::build(&settings).unwrap();
    application.run_until_stopped().await.unwrap_err().to_string()
}

#[actix_web::test]
async fn a_database_that_belongs_to_another_shard_is_refused() {
    let mut shop = Shop::open().await;
    shop.start().await.stop().await;
    shop.databases.reverse();
    let refused = refusal(&shop).await;
    assert!(refused.contains("holds the carts of shard"), "{refused}");
}

#[actix_web::test]
async fn an_empty_database_does_not_stand_in_for_a_shard_that_holds_carts() {
    let mut shop = Shop::open().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    for user in 1..=8 {
        client.fill(user, &[(1003, 1)]).await;
    }
    cart.stop().await;

    let empty = create_database(&shop.servers.postgres_1, "cart").await;
    let right = std::mem::replace(&mut shop.databases[1], empty);
    for _ in 0..2 {
        let refused = refusal(&shop).await;
        assert!(refused.contains("was never used"), "{refused}");
    }
    shop.databases[1] = right;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    for user in 1..=8 {
        assert_eq!(client.lines(user).await, [(1003, 1)], "user {user}");
    }
    cart.stop().await;
}

#[actix_web::test]
async fn a_first_start_that_died_half_way_is_continued() {
    let shop = Shop::open().await;
    shop.start().await.stop().await;
    let mut of_0 = shop.databases[0].connect().await;
    sqlx::query("UPDATE shard_identity SET complete = false").execute(&mut of_0).await.unwrap();
    let mut of_1 = shop.databases[1].connect().await;
    sqlx::query("DELETE FROM shard_identity").execute(&mut of_1).await.unwrap();
    shop.start().await.stop().await;
    let complete = "SELECT count(*) FROM shard_identity WHERE complete";
    assert_eq!(shop.count(complete).await, 2);

    sqlx::query("UPDATE shard_identity SET complete = false").execute(&mut of_1).await.unwrap();
    shop.start().await.stop().await;
    assert_eq!(shop.count(complete).await, 2, "it died before the last record");
}

#[actix_web::test]
async fn databases_that_an_earlier_version_claimed_are_in_use() {
    let mut shop = Shop::open().await;
    shop.start().await.stop().await;
    for (shard, database) in (0..).zip(&shop.databases) {
        let mut connection = database.connect().await;
        sqlx::query("DELETE FROM shard_identity").execute(&mut connection).await.unwrap();
        let claim = sqlx::query("INSERT INTO shard_identity (shard, shards) VALUES ($1, 2)");
        claim.bind::<i32>(shard).execute(&mut connection).await.unwrap();
    }
    shop.start().await.stop().await;
    shop.databases[1] = create_database(&shop.servers.postgres_1, "cart").await;
    let refused = refusal(&shop).await;
    assert!(refused.contains("was never used"), "{refused}");
}
