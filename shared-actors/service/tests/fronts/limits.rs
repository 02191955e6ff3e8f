//! What one client may take, and what it gets beyond that.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::time::Duration;

use dev::testing::eventually;
use service_kit::grpc::GrpcServerSettings;
use service_kit::http::HttpServerSettings;
use service_kit::limits::ClientLimits;
use service_kit::metrics;
use service_kit::settings::{ListenAddress, Reader};
use shared_actors::health::Health;
use tokio::task::spawn_blocking;
use tonic::Code;
use tonic_types::StatusExt;

use crate::grpc_probe::{channel_to, grpc_settings, say, serve_probe};
use crate::strangers::serve_http;

const PATIENCE: Duration = Duration::from_secs(20);

fn http_settings(limits: ClientLimits) -> HttpServerSettings {
    let settings = HttpServerSettings::new(ListenAddress::loopback());
    HttpServerSettings { workers: 2, limits, ..settings }
}

fn requests(per_second: u32) -> ClientLimits {
    ClientLimits { requests_per_address: NonZeroU32::new(per_second), ..ClientLimits::default() }
}

fn connections(per_address: u32) -> ClientLimits {
    let connections_per_address = NonZeroU32::new(per_address);
    ClientLimits { connections_per_address, ..ClientLimits::default() }
}

/// Sends a request over a connection of its own.
async fn ask(address: SocketAddr, method: &'static str, path: &'static str) -> String {
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        let preflight = "Origin: http://localhost:8089\r\nAccess-Control-Request-Method: GET\r\n";
        let more = if method == "OPTIONS" { preflight } else { "" };
        stream.write_all(format!("{head}{more}\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    spawn_blocking(exchange).await.unwrap()
}

#[actix_rt::test]
async fn an_address_with_too_many_requests_is_told_when_to_come_again() {
    let front = serve_http(&http_settings(requests(3)));
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(ask(front.address, "GET", "/small").await);
    }
    let ok = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 200")).count();
    let refused: Vec<&String> =
        answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 429")).collect();
    assert!(ok >= 3 && !refused.is_empty() && ok + refused.len() == 6, "{answers:?}");
    assert!(refused.iter().all(|answer| answer.contains("retry-after: ")), "{refused:?}");
    // Probes, metrics, and what a browser asks first are not limited.
    for _ in 0..5 {
        assert!(ask(front.address, "GET", "/livez").await.starts_with("HTTP/1.1 200"));
        assert!(ask(front.address, "OPTIONS", "/small").await.starts_with("HTTP/1.1 200"));
    }
    eventually(PATIENCE, "the address may call again", async || {
        let answer = ask(front.address, "GET", "/small").await;
        if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(answer) }
    })
    .await;
    assert!(metrics::render().contains(r#"client_limits_total{limit="address"}"#));
    front.stop().await;
}

#[actix_rt::test]
async fn grpc_calls_are_limited_too() {
    let settings = GrpcServerSettings { limits: requests(3), ..grpc_settings() };
    let front = serve_probe(&settings, &Health::new()).await;
    let channel = channel_to(&front);
    let mut refusals = Vec::new();
    for _ in 0..6 {
        refusals.extend(say(&channel, "hello").await.err());
    }
    assert!((1..=3).contains(&refusals.len()), "{refusals:?}");
    for refused in refusals {
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
        assert!(refused.get_details_retry_info().is_some(), "{refused:?}");
    }
    front.stop().await;
}

#[actix_rt::test]
async fn an_address_has_only_so_many_connections_at_once() {
    let front = serve_http(&http_settings(connections(2)));
    let settings = GrpcServerSettings { limits: connections(2), ..grpc_settings() };
    let grpc = serve_probe(&settings, &Health::new()).await;
    for address in [front.address, grpc.address] {
        let closes = |stream: &TcpStream| {
            stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            let mut stream = stream;
            match stream.read(&mut [0; 64]) {
                Ok(count) => count == 0,
                Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        };
        let outcome = spawn_blocking(move || {
            let mut kept = Vec::new();
            for _ in 0..5 {
                let stream = TcpStream::connect(address).unwrap();
                if !closes(&stream) {
                    kept.push(stream);
                }
            }
            let count = kept.len();
            kept.pop();
            (count, kept)
        });
        let (count, kept) = outcome.await.unwrap();
        assert_eq!(count, 2, "{address}");
        eventually(PATIENCE, "a closed connection makes room", async || {
            spawn_blocking(move || !closes(&TcpStream::connect(address).unwrap())).await.unwrap()
        })
        .await;
        drop(kept);
    }
    front.stop().await;
    grpc.stop().await;
}

#[test]
fn limits_are_settings_and_off_by_default() {
    let read = |pairs: &[(&str, &str)]| {
        let mut reader = Reader::from_pairs(pairs.iter().copied());
        let limits = ClientLimits::read(&mut reader);
        reader.finish().map(|()| limits)
    };
    assert_eq!(read(&[]).unwrap(), ClientLimits::default());
    assert_eq!(read(&[("RATE_LIMIT_PER_ADDRESS", "3")]).unwrap(), requests(3));
    assert_eq!(read(&[("MAX_CONNECTIONS_PER_ADDRESS", "2")]).unwrap(), connections(2));
    for wrong in ["-1", "1000001", "many"] {
        assert!(read(&[("RATE_LIMIT_PER_USER", wrong)]).is_err(), "{wrong}");
    }
}

#[actix_rt::test]
async fn a_connection_to_the_port_of_operations_stays_open_between_requests() {
    let short = Duration::from_millis(300);
    let settings = HttpServerSettings {
        operations: Some(ListenAddress::loopback()),
        head_timeout: short,
        ..http_settings(ClientLimits::default())
    };
    let front = serve_http(&settings);
    let address = front.operations_address();
    assert_ne!(address, front.address);
    let scrapes = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let started = std::time::Instant::now();
        while started.elapsed() < 3 * short {
            stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\nok") {
                let mut part = [0; 512];
                let count = stream.read(&mut part).unwrap();
                assert!(count > 0, "closed after {:?}", started.elapsed());
                answer.extend_from_slice(&part[..count]);
            }
        }
    };
    spawn_blocking(scrapes).await.unwrap();
    front.stop().await;
}
