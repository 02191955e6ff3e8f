//! What one client may take, and what it gets beyond that.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::time::Duration;

use dev::testing::{Issuer, eventually};
use service_kit::grpc::GrpcServerSettings;
use service_kit::http::HttpServerSettings;
use service_kit::identity::{IdentitySettings, Verifier};
use service_kit::limits::ClientLimits;
use service_kit::metrics;
use service_kit::settings::{ListenAddress, Reader};
use shared_actors::health::Health;
use tokio::task::spawn_blocking;
use tonic::Code;
use tonic_types::StatusExt;

use crate::grpc_probe::{channel_to, grpc_settings, say, serve_probe};
use crate::strangers::{serve_http, serve_http_to};

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

/// How often a limit has refused so far.
fn refused_by(limit: &str) -> f64 {
    let name = format!("client_limits_total{{limit=\"{limit}\"}} ");
    let text = metrics::render();
    text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0.0)
}

#[actix_rt::test]
async fn an_address_with_too_many_requests_is_told_when_to_come_again() {
    let before = refused_by("address");
    let front = serve_http(&http_settings(requests(3)));
    let asks = (0..20).map(|_| ask(front.address, "GET", "/small"));
    let answers = futures::future::join_all(asks).await;
    let ok = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 200")).count();
    let refused: Vec<&String> =
        answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 429")).collect();
    assert!(ok >= 3 && !refused.is_empty() && ok + refused.len() == 20, "{answers:?}");
    assert!(refused.iter().all(|answer| answer.contains("retry-after: ")), "{refused:?}");
    assert!(refused_by("address") >= before + 1.0);
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
    front.stop().await;
}

#[actix_rt::test]
async fn an_address_is_that_of_the_connection_whatever_a_header_says() {
    let front = serve_http(&http_settings(requests(3)));
    let client = dev::http::client();
    let call = async |number: usize| {
        let call = client.get(format!("http://{}/small", front.address));
        let call = call.header("X-Forwarded-For", format!("192.0.2.{number}"));
        let call = call.header("Forwarded", format!("for=192.0.2.{number}"));
        call.send().await.unwrap().status().as_u16()
    };
    let statuses = futures::future::join_all((0..20).map(call)).await;
    assert!(statuses.contains(&200) && statuses.contains(&429), "{statuses:?}");
    front.stop().await;
}

#[actix_rt::test]
async fn grpc_calls_are_limited_too() {
    let settings = GrpcServerSettings { limits: requests(3), ..grpc_settings() };
    let front = serve_probe(&settings, &Health::new()).await;
    let channel = channel_to(&front);
    let calls = (0..20).map(|_| say(&channel, "hello"));
    let answers = futures::future::join_all(calls).await;
    let refusals: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert!((1..=17).contains(&refusals.len()), "{refusals:?}");
    for refused in refusals {
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
        assert!(refused.get_details_retry_info().is_some(), "{refused:?}");
    }
    front.stop().await;
}

/// Opens a connection and sends `bytes`. `None` if the server closes it without an answer.
fn open(address: SocketAddr, bytes: &[u8]) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // It may be closed already.
    let _ = stream.write_all(bytes);
    match stream.read(&mut [0; 64]) {
        Ok(0) => None,
        Ok(_) => Some(stream),
        Err(error) => {
            let is_closed = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            assert!(is_closed.contains(&error.kind()), "{error}");
            None
        }
    }
}

#[actix_rt::test]
async fn an_address_has_only_so_many_connections_at_once() {
    let before = refused_by("connections");
    let front = serve_http(&http_settings(connections(2)));
    let settings = GrpcServerSettings { limits: connections(2), ..grpc_settings() };
    let grpc = serve_probe(&settings, &Health::new()).await;
    let http_request = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n".as_slice();
    let http2_preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".as_slice();
    for (address, bytes) in [(front.address, http_request), (grpc.address, http2_preface)] {
        let all = spawn_blocking(move || [(); 5].map(|()| open(address, bytes)));
        let mut kept: Vec<TcpStream> = all.await.unwrap().into_iter().flatten().collect();
        assert_eq!(kept.len(), 2, "{address}");
        kept.pop();
        eventually(PATIENCE, "a closed connection makes room", async || {
            spawn_blocking(move || open(address, bytes)).await.unwrap().is_some()
        })
        .await;
    }
    assert!(refused_by("connections") >= before + 6.0);
    front.stop().await;
    grpc.stop().await;
}

#[actix_rt::test]
async fn each_user_has_requests_of_its_own() {
    let issuer = Issuer::new();
    let mut env = issuer.settings();
    env.push(("RATE_LIMIT_PER_USER".to_owned(), "3".to_owned()));
    let mut reader = Reader::from_pairs(env);
    let limits = ClientLimits::read(&mut reader, "");
    let identity = IdentitySettings::read(&mut reader, &[]).unwrap();
    reader.finish().unwrap();
    let identity = Verifier::new(&identity).unwrap();
    let front = serve_http_to(&http_settings(limits), Some(identity));
    let client = dev::http::client();
    let statuses = async |user: &str, count: usize| {
        let token = issuer.token(user, "");
        let call = async || {
            let url = format!("http://{}/small", front.address);
            client.get(url).bearer_auth(&token).send().await.unwrap().status().as_u16()
        };
        futures::future::join_all((0..count).map(|_| call())).await
    };
    let busy = statuses("7", 20).await;
    assert!(busy.contains(&200) && busy.contains(&429), "{busy:?}");
    assert_eq!(statuses("8", 1).await, [200]);
    front.stop().await;
}

#[test]
fn limits_are_settings_and_off_by_default() {
    let read = |pairs: &[(&str, &str)]| {
        let mut reader = Reader::from_pairs(pairs.iter().copied());
        let limits = ClientLimits::read(&mut reader, "");
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
    let short = Duration::from_millis(500);
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
