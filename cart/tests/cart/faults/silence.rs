//! Connections that a firewall has forgotten: they stay open, but nothing arrives over them.

use dev::testing::{Fault, Proxy};

use crate::support::{Client, SOON, Shop, eventually};

/// How many of several sequential requests may fail.
const FAILED: usize = 2;

#[actix_web::test]
async fn a_silent_connection_to_loms_is_replaced() {
    let mut shop = Shop::open().await;
    let proxy = Proxy::to(&shop.loms.address.to_string());
    shop.set("LOMS_BASE_URL", &proxy.address());
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 1)]).await;
    proxy.silence();
    let fault = Fault::passed("a silent connection from cart to loms");
    let mut failed = 0;
    fault
        .normal_when("a product is added", async || {
            let reply = client.add(1, 1003, 1).await;
            failed += usize::from(reply.status != 200);
            (reply.status == 200).then_some(()).ok_or(reply)
        })
        .await;
    assert!(failed <= FAILED, "{failed} requests failed");
    assert_eq!(client.checkout(1).await.status, 200);
    cart.stop().await;
}

#[actix_web::test]
async fn silent_connections_to_the_product_service_are_replaced() {
    let mut shop = Shop::open().await;
    shop.set("REDIS_ADDRESS", &format!("127.0.0.1:{}", dev::testing::free_port()));
    let address = shop.products.base_url().trim_start_matches("http://").to_owned();
    let proxy = Proxy::to(&address);
    shop.set("PRODUCT_SERVICE_BASE_URL", &format!("http://{}", proxy.address()));
    shop.set("PRODUCT_SERVICE_TIMEOUT", "1s");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    // Concurrent calls open several connections.
    let skus = [1002, 1003, 1004];
    futures::future::join_all(skus.map(|sku| client.add(1, sku, 1))).await;
    eventually(SOON, "there are several connections", async || proxy.accepted() > 1).await;
    proxy.silence();
    let fault = Fault::passed("silent connections from cart to the product service");
    fault
        .normal_when("a product is added", async || {
            let reply = client.add(1, 1005, 1).await;
            (reply.status == 200).then_some(()).ok_or(reply)
        })
        .await;
    assert_eq!(client.add(1, 773_297_411, 1).await.status, 200);
    assert_eq!(
        shop.products.calls(),
        5,
        "the call that was lost is made once more, and only that one"
    );
    cart.stop().await;
}
