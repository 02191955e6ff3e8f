//! More requests than cart admits: they are refused at once, and before they cost anything.

use std::time::{Duration, Instant};

use dev::testing::{ServiceProcess, free_port};
use futures::future::join_all;
use futures::join;
use futures::stream::{self, StreamExt};

use crate::support::{Client, Reply, SOON, Shop, eventually};

/// A shop whose product service takes its time, and which has no Redis.
async fn slow_shop() -> Shop {
    let mut shop = Shop::open().await;
    shop.set("REDIS_ADDRESS", &format!("127.0.0.1:{}", free_port()));
    shop.set("REQUESTS_PER_SECOND", "1000");
    for sku in 1006..1106 {
        shop.loms.stock(sku, 10);
    }
    shop
}

fn is_refused(reply: &Reply) -> bool {
    (reply.status, reply.code()) == (429, "OVERLOADED") && reply.retry_after.is_some()
}

#[actix_web::test]
async fn a_user_who_asks_too_much_is_refused_before_it_costs_anything() {
    let mut shop = slow_shop().await;
    shop.set("CART_CAPACITY_PER_USER", "4");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(2, &[(1003, 1)]).await;
    let before = shop.products.calls();
    shop.products.controls().delay(Duration::from_millis(1500));
    let hot = join_all((0..100).map(|n| client.add(1, 1006 + n, 1)));
    let other = async {
        let asked = async || shop.products.calls() == before + 4;
        eventually(SOON, "the hot user's first requests are in progress", asked).await;
        let begun = Instant::now();
        client.fill(2, &[(1003, 1)]).await;
        assert_eq!(client.lines(2).await, [(1003, 2)]);
        begun.elapsed()
    };
    let (hot, waited) = join!(hot, other);
    assert_eq!(hot.iter().filter(|reply| reply.status == 200).count(), 4, "{hot:?}");
    assert_eq!(hot.iter().filter(|reply| is_refused(reply)).count(), 96, "{hot:?}");
    assert_eq!(shop.products.calls(), before + 4);
    assert!(waited < Duration::from_secs(1), "nobody else waits: {waited:?}");
    cart.stop().await;
}

#[actix_web::test]
async fn reads_of_one_cart_are_limited_too() {
    let mut shop = slow_shop().await;
    shop.set("CART_CAPACITY_PER_USER", "4");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    shop.execute(
        "insert into carts (user_id, version, skus, counts) values (1, 1, '{1006}', '{1}')",
    )
    .await;
    shop.products.controls().delay(Duration::from_millis(1500));
    let shown = join_all((0..100).map(|_| client.show(1))).await;
    assert_eq!(shown.iter().filter(|reply| reply.status == 200).count(), 4, "{shown:?}");
    assert_eq!(shown.iter().filter(|reply| is_refused(reply)).count(), 96, "{shown:?}");
    cart.stop().await;
}

#[actix_web::test]
async fn all_users_together_are_limited_and_the_place_of_a_request_is_free_when_it_ends() {
    let mut shop = slow_shop().await;
    shop.set("CART_CAPACITY", "8");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    shop.products.controls().delay(Duration::from_millis(1500));
    let adds =
        join_all((1..=100).map(|user| client.add(user, 1005 + u32::try_from(user).unwrap(), 1)));
    let adds = adds.await;
    assert_eq!(adds.iter().filter(|reply| reply.status == 200).count(), 8, "{adds:?}");
    assert_eq!(adds.iter().filter(|reply| is_refused(reply)).count(), 92, "{adds:?}");
    shop.products.controls().heal();
    assert_eq!(client.add(1, 1003, 1).await.status, 200);
    cart.stop().await;
}

/// The value of a metric without further labels.
async fn metric(client: &Client, line: &str) -> f64 {
    let metrics = client.send(reqwest::Method::GET, "/metrics", None, None).await.body;
    let value = metrics.as_str().unwrap().lines().find_map(|found| found.strip_prefix(line));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no {line}"))
}

#[actix_web::test]
async fn users_who_are_seen_once_leave_memory_bounded() {
    let mut shop = Shop::open().await;
    shop.set("HOST_PORT", &format!("127.0.0.1:{}", free_port())).set("CART_MAX_LIVE", "100");
    let mut service = ServiceProcess::start("cart", &shop.env()).await;
    let client = Client::at(service.base_url());
    let see = async |users: std::ops::Range<i64>| {
        let removals = stream::iter(users).map(|user| client.remove(user, 1003));
        let seen = removals.buffer_unordered(32).all(async |reply| reply.status == 204);
        assert!(seen.await);
        metric(&client, "process_resident_memory_bytes ").await
    };
    let first = see(1..1_000).await;
    let last = see(1_000..6_000).await;
    let live = metric(&client, "actor_live{actor=\"cart\"} ").await;
    assert!(live <= 100.0 + 32.0, "{live} actors");
    let activations = metric(&client, "actor_activations_total{actor=\"cart\"} ").await;
    assert!(activations >= 5_999.0, "{activations} activations");
    assert!(last - first < 16e6, "{first} bytes became {last}");
    assert!(service.terminate().await.success());
}
