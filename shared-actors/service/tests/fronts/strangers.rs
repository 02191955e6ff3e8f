//! Connections that send nothing, stop halfway, or do not read. None of them stays open, and none
//! blocks others.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Bytes;
use actix_web::web::{self, ServiceConfig};
use h2::client::SendRequest;
use service_kit::http;
use service_kit::http::{HttpFrontEnd, HttpServerSettings, HttpService};
use service_kit::identity::Verifier;
use service_kit::settings::ListenAddress;
use shared_actors::health::Health;
use tokio::task::{JoinHandle, spawn, spawn_blocking};
use tokio::time::timeout;
use tonic::codegen::http::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use utoipa::openapi::OpenApiBuilder;

use crate::grpc_probe::{channel_to, grpc_settings, say, serve_probe};

/// Much shorter than the tests wait, but long enough for a well-behaved client on a busy machine.
const SHORT: Duration = Duration::from_millis(500);
/// Too long to matter: only a defect would close a connection this late.
const LONG: Duration = Duration::from_mins(5);
const PATIENCE: Duration = Duration::from_secs(20);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The client's settings, and the acknowledgement of the server's settings.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
const GOAWAY: u8 = 7;

const LARGE_BYTES: usize = 32 * 1024 * 1024;

/// Sends `bytes`, then waits until the server closes the connection. Returns what arrived until
/// then.
pub async fn until_closed(address: SocketAddr, bytes: impl Into<Vec<u8>>) -> Vec<u8> {
    let bytes = bytes.into();
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(&bytes);
        let mut received = Vec::new();
        match stream.read_to_end(&mut received) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => {
                panic!("still open after {PATIENCE:?}: {error}")
            }
            _ => received,
        }
    };
    spawn_blocking(exchange).await.unwrap()
}

pub fn http_settings() -> HttpServerSettings {
    let mut settings = HttpServerSettings::new(ListenAddress::loopback());
    (settings.workers, settings.head_timeout, settings.answer_timeout) = (1, LONG, LONG);
    settings
}

pub fn serve_http(settings: &HttpServerSettings) -> HttpFrontEnd {
    serve_http_to(settings, None)
}

/// The same, to callers with a token.
pub fn serve_http_to(settings: &HttpServerSettings, identity: Option<Verifier>) -> HttpFrontEnd {
    let routes = |config: &mut ServiceConfig| {
        let large = || async { HttpResponse::Ok().body(vec![b'x'; LARGE_BYTES]) };
        let small = || async { HttpResponse::Ok().body("small") };
        config
            .service(web::resource("/large").route(web::get().to(large)))
            .service(web::resource("/small").route(web::get().to(small)))
            .service(web::resource("/echo").route(web::post().to(async |body: Bytes| body)));
    };
    let errors = |parts: &http::ErrorParts| HttpResponse::build(parts.code.http_status()).finish();
    let service = HttpService {
        health: Health::new(),
        openapi: OpenApiBuilder::new().build(),
        errors,
        identity,
    };
    http::serve(settings, service, routes).unwrap()
}

async fn is_alive(address: SocketAddr) -> bool {
    let request = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    until_closed(address, request).await.ends_with(b"ok")
}

#[actix_rt::test]
async fn http_closes_a_client_that_does_not_complete_the_head_of_any_request() {
    let front = serve_http(&HttpServerSettings { head_timeout: SHORT, ..http_settings() });
    for (said, answers) in [
        (b"".as_slice(), 0),
        (b"GET /livez HTTP/1.1\r\nHos", 0),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n", 1),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nG", 1),
    ] {
        let keep_alive = Duration::from_millis(200);
        let front =
            serve_http(&HttpServerSettings { head_timeout: SHORT, keep_alive, ..http_settings() });
        let received = String::from_utf8(until_closed(front.address, said).await).unwrap();
        assert_eq!(received.matches("200 OK").count(), answers, "{received}");
        front.stop().await;
    }
    // The byte comes after the answer, on a connection that may stay idle for long.
    let address = front.address;
    let second = spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = [0; 1024];
        assert!(stream.read(&mut answer).unwrap() > 0);
        stream.write_all(b"G").unwrap();
        stream.read(&mut answer)
    });
    let closed = second.await.unwrap();
    assert!(closed.as_ref().is_ok_and(|bytes| *bytes == 0), "{closed:?}");
    front.stop().await;
}

#[actix_rt::test]
async fn http_closes_a_client_that_does_not_take_its_answer() {
    let settings =
        HttpServerSettings { answer_timeout: SHORT, max_connections: 1, ..http_settings() };
    let front = serve_http(&settings);
    let mut deaf = TcpStream::connect(front.address).unwrap();
    deaf.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    // Its first bytes have arrived, so it occupies the only connection slot.
    deaf.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut deaf =
        spawn_blocking(move || deaf.read_exact(&mut [0; 1]).map(|()| deaf)).await.unwrap().unwrap();
    assert!(is_alive(front.address).await, "its place is free for others");
    let mut rest = Vec::new();
    let _ = deaf.read_to_end(&mut rest);
    assert!(rest.len() < LARGE_BYTES, "it was closed before it took everything");
    front.stop().await;
}

#[actix_rt::test]
async fn http_lets_a_slow_client_finish() {
    let front = serve_http(&HttpServerSettings { head_timeout: SHORT, ..http_settings() });
    let received =
        until_closed(front.address, b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(received.await.len() > LARGE_BYTES);
    front.stop().await;
}

#[actix_rt::test]
async fn silent_clients_of_http_keep_nobody_out() {
    let front = serve_http(&HttpServerSettings { max_connections: 4, ..http_settings() });
    let silent: Vec<_> = (0..100).map(|_| TcpStream::connect(front.address).unwrap()).collect();
    assert!(is_alive(front.address).await);
    drop(silent);
    front.stop().await;
}

#[actix_rt::test]
async fn grpc_closes_a_client_that_does_not_complete_the_handshake() {
    let mut settings = grpc_settings();
    (settings.head_timeout, settings.idle_timeout) = (SHORT, LONG);
    let front = serve_probe(&settings, &Health::new()).await;
    for said in [b"".as_slice(), &PREFACE[..10], PREFACE] {
        until_closed(front.address, said).await;
    }
    front.stop().await;
}

#[actix_rt::test]
async fn grpc_closes_a_client_that_makes_no_call_and_none_that_waits_for_an_answer() {
    let mut settings = grpc_settings();
    (settings.head_timeout, settings.idle_timeout) = (LONG, SHORT);
    let health = Health::new();
    let database = health.component("postgres shard 0");
    let front = serve_probe(&settings, &health).await;
    let channel = channel_to(&front);
    let request = HealthCheckRequest { service: String::new() };
    let mut watched = HealthClient::new(channel).watch(request).await.unwrap().into_inner();
    let first = watched.message().await.unwrap().unwrap();
    until_closed(front.address, [PREFACE, SETTINGS].concat()).await;
    database.ready();
    let second = watched.message().await.unwrap().unwrap();
    assert_ne!(first.status, second.status);
    drop(watched);
    front.stop().await;
}

/// An HTTP/2 client that accepts at most `window` bytes of each answer, and the task of its
/// connection.
pub async fn http2(
    address: SocketAddr,
    window: u32,
) -> (SendRequest<Bytes>, JoinHandle<Result<(), h2::Error>>) {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (client, connection) =
        h2::client::Builder::new().initial_window_size(window).handshake(stream).await.unwrap();
    (client.ready().await.unwrap(), spawn(connection))
}

#[actix_rt::test]
async fn grpc_closes_a_client_that_answers_pings_and_makes_no_call() {
    let mut settings = grpc_settings();
    settings.idle_timeout = 2 * SHORT;
    settings.keep_alive = SHORT / 5;
    let front = serve_probe(&settings, &Health::new()).await;
    let (_client, connection) = http2(front.address, 65_535).await;
    let _ = timeout(PATIENCE, connection).await.expect("the connection is closed");
    front.stop().await;
}

#[actix_rt::test]
async fn grpc_closes_a_client_that_does_not_take_its_answer() {
    let mut settings = grpc_settings();
    (settings.answer_timeout, settings.keep_alive) = (SHORT, SHORT / 5);
    let front = serve_probe(&settings, &Health::new()).await;
    // A message of gRPC: its length, then a field of text.
    let text = "x".repeat(40_000);
    let field = [b"\x0a\xc0\xb8\x02".as_slice(), text.as_bytes()].concat();
    let length = u32::try_from(field.len()).unwrap().to_be_bytes();
    let message = Bytes::from([[0].as_slice(), &length, &field].concat());
    for window in [0, 1] {
        let (mut client, connection) = http2(front.address, window).await;
        let request = Request::post(format!("http://{}/test.Probe/Echo", front.address))
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        let (answer, mut body) = client.send_request(request, false).unwrap();
        body.send_data(message.clone(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        let _ = timeout(PATIENCE, connection).await.expect("the connection is closed");
    }
    let channel = channel_to(&front);
    assert_eq!(say(&channel, &text).await.unwrap(), text);
    front.stop().await;
}

#[actix_rt::test]
async fn silent_clients_of_grpc_keep_nobody_out() {
    let mut settings = grpc_settings();
    (settings.head_timeout, settings.max_connections) = (LONG, 4);
    let front = serve_probe(&settings, &Health::new()).await;
    let silent: Vec<_> = (0..100).map(|_| TcpStream::connect(front.address).unwrap()).collect();
    let channel = channel_to(&front);
    assert_eq!(say(&channel, "hello").await.unwrap(), "hello");
    drop(silent);
    front.stop().await;
}

#[actix_rt::test]
async fn an_old_connection_of_grpc_is_asked_to_end_and_its_calls_are_finished() {
    let mut settings = grpc_settings();
    settings.max_connection_age = SHORT;
    settings.request_timeout = 4 * SHORT;
    // The server closes the connection even if the client does not answer the GOAWAY.
    settings.idle_timeout = 4 * SHORT;
    let front = serve_probe(&settings, &Health::new()).await;
    let channel = channel_to(&front);
    // The call ends at its own deadline, by which time the connection has passed its maximum age.
    let (late, received) = tokio::join!(
        say(&channel, "patient"),
        until_closed(front.address, [PREFACE, SETTINGS].concat().leak())
    );
    assert_eq!(late.unwrap_err().message(), "in my own words");
    assert!(frames(&received).contains(&GOAWAY), "{received:?}");
    assert_eq!(say(&channel, "hello").await.unwrap(), "hello");
    front.stop().await;
}

/// The types of the HTTP/2 frames in `bytes`.
fn frames(mut bytes: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = bytes {
        types.push(*kind);
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = rest.get(length..).unwrap_or_default();
    }
    types
}
