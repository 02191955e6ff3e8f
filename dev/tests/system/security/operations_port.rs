//! A port of its own for health and metrics.

use std::io::Read;
use std::net::TcpStream;

use crate::support::{Cart, Rest, Servers, Shop, free_port, on_loopback, set};

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

    // Requests without an end, so that the places are not given to others.
    let address = cart.process.base_url().replace("http://", "");
    let mut taken: Vec<TcpStream> = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(&address).unwrap();
        let head = "POST /user/1/cart/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n";
        std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
        taken.push(stream);
    }
    taken[3].set_nonblocking(true).unwrap();
    operations.get("/livez").await.expect(200);
    operations.get("/readyz").await.expect(200);
    assert!(operations.get("/metrics").await.expect(200).body.contains("actor_live"));
    let waiting = taken[3].read(&mut [0; 1]).unwrap_err();
    assert_eq!(waiting.kind(), std::io::ErrorKind::WouldBlock, "the public port is exhausted");
}
