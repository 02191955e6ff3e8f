//! Filling, showing and emptying a cart.

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

#[actix_web::test]
async fn a_database_that_belongs_to_another_shard_is_refused() {
    let mut shop = Shop::open().await;
    shop.start().await.stop().await;
    shop.databases.reverse();
    let settings =
        cart::Settings::read(service_kit::settings::Reader::from_pairs(shop.env())).unwrap();
    let refused =
        cart::Application::build(&settings).unwrap().run_until_stopped().await.unwrap_err();
    assert!(refused.to_string().contains("holds the carts of shard"), "{refused}");
}
