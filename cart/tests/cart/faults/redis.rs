//! A Redis that answers with errors, does not answer, or holds foreign data. Users notice nothing,
//! because cart gets products elsewhere.

use std::ops::RangeInclusive;

use deadpool_redis::redis::{self, aio::MultiplexedConnection};
use dev::stack::folders::Folders;
use dev::stack::process::Process;
use dev::testing::{Fault, Proxy, free_port};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::{Client, SOON, Shop, eventually};

/// Products that cart has not asked for yet.
const OTHERS: RangeInclusive<u32> = 1010..=1320;

/// A private Redis for one test.
struct OwnRedis {
    address: String,
    commands: MultiplexedConnection,
    _process: Process,
    _folders: Folders,
}

impl OwnRedis {
    async fn start() -> Self {
        let folders = Folders::for_a_test_run().unwrap();
        let port = free_port();
        let process = dev::stack::redis::start(port, &folders).await.unwrap();
        let address = format!("127.0.0.1:{port}");
        let client = redis::Client::open(format!("redis://{address}")).unwrap();
        let commands = client.get_multiplexed_async_connection().await.unwrap();
        Self { address, commands, _process: process, _folders: folders }
    }

    async fn command(&mut self, line: &str) {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command.exec_async(&mut self.commands).await.unwrap();
    }

    async fn holds(&mut self, sku: u32) -> bool {
        let key = format!("cart:product:{sku}");
        let kind: String =
            redis::cmd("TYPE").arg(key).query_async(&mut self.commands).await.unwrap();
        kind == "string"
    }
}

/// A shop whose cart has a long Redis timeout, because Redis may be late on a busy machine.
async fn shop_with(redis: &str) -> Shop {
    let mut shop = Shop::open().await;
    shop.set("REDIS_ADDRESS", redis).set("REDIS_TIMEOUT", "2s").set("REQUESTS_PER_SECOND", "1000");
    for sku in OTHERS {
        shop.loms.stock(sku, 1_000);
    }
    shop
}

#[actix_web::test]
async fn a_value_that_is_not_ours_costs_its_own_key_and_is_overwritten() {
    let mut redis = OwnRedis::start().await;
    for line in [
        "LPUSH cart:product:1002 x",
        "SET cart:product:1003 nonsense",
        "HSET cart:product:1004 a b",
        "SET cart:product:1005 \u{0}",
    ] {
        redis.command(line).await;
    }
    let shop = shop_with(&redis.address).await;
    let cart = shop.start().await;
    let client = Client::of(&cart);
    for sku in [1002, 1003, 1004, 1005] {
        client.fill(1, &[(sku, 1)]).await;
        eventually(SOON, "the key holds the product", async || redis.holds(sku).await).await;
    }
    cart.stop().await;
    let calls = shop.products.calls();
    let cart = shop.start().await;
    for sku in [1002, 1003, 1004, 1005] {
        Client::of(&cart).fill(1, &[(sku, 1)]).await;
    }
    assert_eq!(shop.products.calls(), calls, "all are found in Redis");
    cart.stop().await;
}

/// Forwards each new connection to the server that is current at that time, as a DNS name or a
/// virtual address does.
async fn switch(server: watch::Receiver<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let server = server.borrow().clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(server).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    address
}

#[actix_web::test]
async fn a_redis_that_became_a_replica_is_read_until_the_new_primary_is_found() {
    let (mut old, mut new) = (OwnRedis::start().await, OwnRedis::start().await);
    let (primary, current) = watch::channel(old.address.clone());
    let shop = shop_with(&switch(current).await).await;
    let cart = shop.start().await;
    for sku in [1002, 1003] {
        Client::of(&cart).fill(1, &[(sku, 1)]).await;
        eventually(SOON, "Redis holds the product", async || old.holds(sku).await).await;
    }
    cart.stop().await;

    let cart = shop.start().await;
    let client = Client::of(&cart);
    let calls = shop.products.calls();
    client.fill(1, &[(1002, 1)]).await;
    old.command(&format!("REPLICAOF 127.0.0.1 {}", free_port())).await;
    client.fill(1, &[(1004, 1)]).await;
    client.fill(1, &[(1003, 1)]).await;
    assert_eq!(shop.products.calls(), calls + 1, "what cannot be written can be read");
    primary.send_replace(new.address.clone());
    let fault = Fault::passed("a failover of Redis");
    let mut skus = OTHERS;
    fault
        .normal_when("the new primary is written", async || {
            let sku = skus.next().unwrap();
            client.fill(1, &[(sku, 1)]).await;
            new.holds(sku).await
        })
        .await;
    cart.stop().await;
}

#[actix_web::test]
async fn a_redis_without_memory_or_permission_for_writes_is_still_read() {
    let mut redis = OwnRedis::start().await;
    let shop = shop_with(&redis.address).await;
    let cart = shop.start().await;
    Client::of(&cart).fill(1, &[(1003, 1)]).await;
    eventually(SOON, "Redis holds the product", async || redis.holds(1003).await).await;
    cart.stop().await;
    for (trouble, end, unwritten, written) in [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", 1004, 1005),
        ("ACL SETUSER default -@write", "ACL SETUSER default +@write", 1010, 1011),
    ] {
        redis.command("CONFIG SET maxmemory-policy noeviction").await;
        redis.command(trouble).await;
        // A new process has an empty in-memory cache.
        let cart = shop.start().await;
        let client = Client::of(&cart);
        client.fill(1, &[(unwritten, 1)]).await;
        let calls = shop.products.calls();
        client.fill(1, &[(1003, 1)]).await;
        assert_eq!(shop.products.calls(), calls, "reads go on after {trouble}");
        redis.command(end).await;
        client.fill(1, &[(written, 1)]).await;
        eventually(SOON, "Redis is written again", async || redis.holds(written).await).await;
        assert!(!redis.holds(unwritten).await, "{trouble}");
        cart.stop().await;
    }
}

#[actix_web::test]
async fn a_silent_connection_to_redis_is_replaced() {
    let mut redis = OwnRedis::start().await;
    let proxy = Proxy::to(&redis.address);
    let mut shop = shop_with(&proxy.address()).await;
    shop.set("REDIS_TIMEOUT", "200ms");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 1)]).await;
    proxy.silence();
    let fault = Fault::passed("a silent connection from cart to Redis");
    let mut skus = OTHERS;
    fault
        .normal_when("Redis is written", async || {
            let sku = skus.next().unwrap();
            client.fill(1, &[(sku, 1)]).await;
            redis.holds(sku).await
        })
        .await;
    cart.stop().await;
}

#[actix_web::test]
async fn cart_works_without_a_slow_redis_and_refills_a_flushed_one() {
    let mut redis = OwnRedis::start().await;
    let proxy = Proxy::to(&redis.address);
    let mut shop = shop_with(&proxy.address()).await;
    shop.set("REDIS_TIMEOUT", "100ms");
    let cart = shop.start().await;
    let client = Client::of(&cart);
    client.fill(1, &[(1003, 1)]).await;
    proxy.delay(std::time::Duration::from_secs(5));
    let calls = shop.products.calls();
    let mut skus = OTHERS;
    client.fill(1, &skus.by_ref().take(10).map(|sku| (sku, 1)).collect::<Vec<_>>()).await;
    assert_eq!(shop.products.calls() - calls, 10);

    proxy.cut();
    proxy.heal();
    redis.command("FLUSHALL").await;
    eventually(SOON, "Redis is written again", async || {
        let sku = skus.next().unwrap();
        client.fill(1, &[(sku, 1)]).await;
        redis.holds(sku).await
    })
    .await;
    cart.stop().await;
}
