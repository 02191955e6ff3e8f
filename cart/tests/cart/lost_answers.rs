//! A client that got no answer to its checkout asks again. What was added meanwhile is another order.

use cart::Application;
use dev::testing::{ServiceProcess, free_port};
use futures::join;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Client, Fate, SOON, Shop, eventually};

/// A shop whose sweeper settles every open checkout at once.
async fn swept_shop() -> Shop {
    let mut shop = Shop::open().await;
    shop.set("LOMS_TIMEOUT", "500ms").set("CHECKOUT_GRACE", "100ms").set("SWEEP_INTERVAL", "50ms");
    shop
}

async fn is_asked(shop: &Shop) {
    let asked = async || !shop.loms.keys_asked().is_empty();
    eventually(SOON, "the order service was asked", asked).await;
}

fn order(id: i64) -> Value {
    json!({"orderID": id})
}

#[actix_web::test]
async fn a_client_that_got_no_answer_gets_the_order_when_it_asks_again_without_a_key() {
    let shop = swept_shop().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.next([Fate::Silence; 4]);
    assert_eq!(client.patient_for("250m").checkout(1).await.status, 504);
    eventually(SOON, "the cart is empty", async || client.show(1).await.status == 404).await;
    assert_eq!(client.checkout(1).await.body, order(1000));
    assert_eq!(client.checkout(1).await.code(), "NOT_FOUND", "the order was told");
    client.fill(1, &[(1004, 1)]).await;
    assert_eq!(client.checkout(1).await.body, order(2000));
    assert_eq!(shop.loms.orders().len(), 2);
    cart.stop().await;
}

#[actix_web::test]
async fn a_client_that_closed_its_connection_gets_the_order_when_it_asks_again() {
    let (mut shop, port) = (Shop::open().await, free_port());
    shop.set("HOST_PORT", &format!("127.0.0.1:{port}"));
    let mut service = ServiceProcess::start("cart", &shop.env()).await;
    let client = Client::at(service.base_url());
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.hold(true);
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request =
        "POST /cart/checkout HTTP/1.1\r\nHost: cart\r\nContent-Length: 11\r\n\r\n{\"user\": 1}";
    connection.write_all(request.as_bytes()).await.unwrap();
    is_asked(&shop).await;
    // Closes the connection in an orderly way, as a client does that has waited long enough.
    drop(connection);
    let closed = async || gave_up(&client).await > 0;
    eventually(SOON, "cart has noticed", closed).await;
    shop.loms.hold(false);
    eventually(SOON, "the cart is empty", async || client.show(1).await.status == 404).await;
    assert_eq!(client.checkout(1).await.body, order(1000));
    assert!(service.terminate().await.success());
}

/// How many checkouts were given up by their clients.
async fn gave_up(client: &Client) -> u64 {
    let metrics = client.send(reqwest::Method::GET, "/metrics", None, None).await.body;
    let metrics = metrics.as_str().unwrap();
    let given_up = |line: &&str| {
        line.starts_with("api_requests_total{")
            && line.contains("/cart/checkout")
            && line.contains("\"499\"")
    };
    let value = metrics.lines().find(given_up).and_then(|line| line.rsplit(' ').next());
    value.and_then(|value| value.parse().ok()).unwrap_or_default()
}

#[actix_web::test]
async fn an_unreported_order_becomes_the_answer_to_the_key_that_asks_for_it() {
    let shop = swept_shop().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.next([Fate::Silence; 4]);
    assert_eq!(client.patient_for("250m").checkout(1).await.status, 504);
    eventually(SOON, "the cart is empty", async || client.show(1).await.status == 404).await;
    for _ in 0..2 {
        assert_eq!(client.checkout_with_key(1, "a").await.body, order(1000));
    }
    assert_eq!(client.checkout_with_key(1, "b").await.code(), "NOT_FOUND");
    cart.stop().await;
}

#[actix_web::test]
async fn an_unreported_order_is_forgotten_after_ten_minutes() {
    let shop = swept_shop().await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    for (user, since) in [(1, "9 min"), (2, "11 min")] {
        client.fill(user, &[(1003, 2)]).await;
        shop.loms.next([Fate::Silence; 4]);
        assert_eq!(client.patient_for("250m").checkout(user).await.status, 504, "{since}");
        eventually(SOON, "the cart is empty", async || client.show(user).await.status == 404).await;
    }
    shop.execute("update carts set unreported_at = now() - interval '9 min' where user_id = 1")
        .await;
    shop.execute("update carts set unreported_at = now() - interval '11 min' where user_id = 2")
        .await;
    assert_eq!(client.checkout(1).await.body, order(1000));
    assert_eq!(client.checkout(2).await.code(), "NOT_FOUND");
    cart.stop().await;
}

#[actix_web::test]
async fn a_request_that_joined_a_checkout_gets_its_order_after_a_crash() {
    let mut shop = Shop::open().await;
    shop.set("HOST_PORT", &format!("127.0.0.1:{}", free_port())).set("CHECKOUT_GRACE", "1h");
    let mut service = ServiceProcess::start("cart", &shop.env()).await;
    let client = Client::at(service.base_url());
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.hold(true);
    let first = client.try_checkout_with_key(1, "a");
    let joined = async {
        is_asked(&shop).await;
        let joined = client.try_checkout_with_key(1, "b");
        let kill = async {
            let waits = async || service_waits(&client).await == 2;
            eventually(SOON, "both requests wait", waits).await;
            service.kill9();
        };
        join!(joined, kill).0
    };
    let (first, joined) = join!(first, joined);
    assert!(first.is_err() && joined.is_err(), "nobody answers: {first:?} {joined:?}");
    shop.loms.hold(false);
    shop.set("CHECKOUT_GRACE", "100ms").set("SWEEP_INTERVAL", "50ms");
    let mut service = ServiceProcess::start("cart", &shop.env()).await;
    eventually(SOON, "the cart is empty", async || client.show(1).await.status == 404).await;
    for key in ["b", "a", "b"] {
        assert_eq!(client.checkout_with_key(1, key).await.body, order(1000), "{key}");
    }
    assert_eq!(shop.loms.orders().len(), 1);
    assert!(service.terminate().await.success());
}

/// How many commands the carts of a service work on.
async fn service_waits(client: &Client) -> u64 {
    let metrics = client.send(reqwest::Method::GET, "/metrics", None, None).await.body;
    let metrics = metrics.as_str().unwrap();
    let line = "actor_messages_in_flight{actor=\"cart\"} ";
    let value = metrics.lines().find_map(|found| found.strip_prefix(line));
    value.and_then(|value| value.parse().ok()).unwrap_or_default()
}

#[actix_web::test]
async fn a_checkout_after_an_add_orders_what_was_added_and_not_the_checkout_in_progress() {
    let mut shop = Shop::open().await;
    shop.set("HOST_PORT", &format!("127.0.0.1:{}", free_port()));
    let mut service = ServiceProcess::start("cart", &shop.env()).await;
    let client = Client::at(service.base_url());
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.hold(true);
    let later = async {
        is_asked(&shop).await;
        client.fill(1, &[(1003, 1), (1004, 3)]).await;
        let release = async {
            let waits = async || service_waits(&client).await == 2;
            eventually(SOON, "both requests wait", waits).await;
            shop.loms.hold(false);
        };
        join!(client.checkout(1), release).0
    };
    let (first, later) = join!(client.checkout(1), later);
    assert_eq!((first.body, later.body), (order(1000), order(2000)));
    let orders = shop.loms.orders();
    assert_eq!(orders[0].items, [(1003, 2)]);
    assert_eq!(orders[1].items, [(1003, 1), (1004, 3)]);
    assert_eq!(client.checkout(1).await.code(), "NOT_FOUND");
    assert!(service.terminate().await.success());
}

#[actix_web::test]
async fn a_checkout_at_the_other_instance_orders_what_was_added_during_the_first() {
    let shop = Shop::open().await;
    let (one, two) = join!(shop.start(), shop.start());
    let (first, second) = (Client::of(&one), Client::of(&two));
    first.fill(1, &[(1003, 2)]).await;
    shop.loms.hold(true);
    let later = async {
        is_asked(&shop).await;
        second.fill(1, &[(1004, 3)]).await;
        let release = async {
            let asked = async || shop.loms.keys_asked().len() == 2;
            eventually(SOON, "the other instance asks too", asked).await;
            shop.loms.hold(false);
        };
        join!(second.checkout(1), release).0
    };
    let (earlier, later) = join!(first.checkout(1), later);
    assert_eq!((earlier.body, later.body), (order(1000), order(2000)));
    assert_eq!(shop.loms.orders()[1].items, [(1004, 3)]);
    one.stop().await;
    two.stop().await;
}

/// A shop whose sweeper settles nothing.
async fn unswept_shop() -> Shop {
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "1h");
    shop
}

/// User 1 has checked out two pieces of 1003 with the key `a`, got no answer, and added 1004.
async fn client_that_adds_after_an_unknown_checkout(shop: &Shop, cart: &Application) -> Client {
    let client = Client::of(cart);
    client.fill(1, &[(1003, 2)]).await;
    shop.loms.next([Fate::AnswerLost(tonic::Code::Unavailable); 4]);
    assert_eq!(client.checkout_with_key(1, "a").await.status, 503);
    client.fill(1, &[(1004, 3)]).await;
    client
}

#[actix_web::test]
async fn a_checkout_after_an_unknown_one_orders_only_what_was_added_since() {
    let shop = unswept_shop().await;
    let cart = shop.start().await;
    let client = client_that_adds_after_an_unknown_checkout(&shop, &cart).await;
    assert_eq!(client.checkout_with_key(1, "b").await.body, order(2000));
    assert_eq!(client.checkout_with_key(1, "a").await.body, order(1000), "the key's own order");
    let orders = shop.loms.orders();
    assert_eq!((&orders[0].items, &orders[1].items), (&vec![(1003, 2)], &vec![(1004, 3)]));
    cart.stop().await;
}

#[actix_web::test]
async fn a_repeated_key_gets_its_order_whatever_was_added_since() {
    let shop = unswept_shop().await;
    let cart = shop.start().await;
    let client = client_that_adds_after_an_unknown_checkout(&shop, &cart).await;
    assert_eq!(client.checkout_with_key(1, "a").await.body, order(1000));
    assert_eq!(client.lines(1).await, [(1004, 3)]);
    assert_eq!(shop.loms.orders().len(), 1);
    cart.stop().await;
}
