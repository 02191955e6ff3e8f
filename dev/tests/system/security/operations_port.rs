//! A port of its own for health and metrics.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::support::{Cart, Rest, SOON, Servers, Shop, free_port, on_loopback, set};

#[tokio::test]
async fn the_port_of_operations_answers_while_the_public_port_is_exhausted() {
    let shop = Shop::shared().await;
    let own_port = free_port();
    let more = vec![
        set("OPERATIONS_HOST_PORT", on_loopback(own_port)),
        set("HTTP_WORKERS", 1),
        set("HTTP_MAX_CONNECTIONS", 2),
        // Unreachable, so that there is a reason to tell.
        set("REDIS_ADDRESS", format!("127.0.0.1:{}", free_port())),
    ];
    let cart =
        Cart::start(&Servers::from_env(), shop.loms.grpc_port, "http://127.0.0.1:1", more).await;
    let public = Rest::new(cart.process.base_url());
    let operations = Rest::new(cart.process.operations_url());

    public.get("/metrics").await.expect(404);
    public.get("/livez").await.expect(200);
    let redis = |body: &serde_json::Value| {
        let components = body["components"].as_array().unwrap();
        components.iter().find(|one| one["name"] == "redis").unwrap()["reason"].clone()
    };
    let told = operations.get("/readyz").await.expect(200).json();
    assert!(redis(&told).is_string(), "{told}");
    let told = public.get("/readyz").await.expect(200).json();
    assert!(redis(&told).is_null(), "the public learns why: {told}");

    // The connection of the client must not keep a place.
    drop(public);
    let address = cart.process.base_url().replace("http://", "");
    let request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let ask = move |patience: Duration| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(patience)).unwrap();
        stream.write_all(request).unwrap();
        let answer = stream.read_exact(&mut [0; 12]);
        (stream, answer.map_err(|error| error.kind()))
    };
    let exhaust = move || {
        // A connection that has sent a request does not make room for others.
        let taken = [ask(SOON), ask(SOON)];
        assert!(taken.iter().all(|(_, answer)| answer.is_ok()), "{taken:?}");
        (taken, ask(Duration::from_secs(1)))
    };
    let (taken, (mut waiting, none)) = spawn_blocking(exhaust).await.unwrap();
    assert_eq!(none, Err(ErrorKind::WouldBlock), "the public port is exhausted");
    operations.get("/livez").await.expect(200);
    operations.get("/readyz").await.expect(200);
    assert!(operations.get("/metrics").await.expect(200).body.contains("actor_live"));
    drop(taken);
    let answer = move || {
        waiting.set_read_timeout(Some(SOON)).unwrap();
        waiting.read_exact(&mut [0; 12])
    };
    spawn_blocking(answer).await.unwrap().expect("an answer as soon as there is a place");
}
