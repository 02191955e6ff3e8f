//! Requests that no honest client sends. The server never reads one as two, never serves a file,
//! and keeps serving other clients.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::web::Bytes;
use shared_actors::health::Health;
use tokio::time::timeout;
use tonic::codegen::http::{HeaderValue, Request};

use crate::grpc_probe::{channel_to, grpc_settings, say, serve_probe};
use crate::strangers::{http_settings, http2, serve_http, until_closed};

const PATIENCE: Duration = Duration::from_secs(20);

async fn answers_to(address: SocketAddr, bytes: impl Into<Vec<u8>>) -> String {
    String::from_utf8_lossy(&until_closed(address, bytes).await).into_owned()
}

#[actix_rt::test]
async fn a_request_with_an_ambiguous_length_is_refused() {
    let front = serve_http(&http_settings());
    // A second request, which must not be answered.
    let hidden = "GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let post = "POST /echo HTTP/1.1\r\nHost: x\r\n";
    let fine = format!("{post}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n{hidden}");
    let both = answers_to(front.address, fine).await;
    assert_eq!(
        both.matches("200 OK").count(),
        2,
        "a valid request and the next one are answered: {both}"
    );
    for head in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 0\r\nContent-Length: 5",
        "Content-Length: 0, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding : chunked",
        "Name: a\r\n folded: b",
        "Na\0me: a",
        "Name: a\0b",
        ": empty",
    ] {
        let bytes = format!("{post}{head}\r\n\r\n0\r\n\r\n{hidden}");
        let answers = answers_to(front.address, bytes).await;
        let count = answers.matches("HTTP/1.1 ").count();
        assert!(count <= 1 && !answers.contains("200 OK"), "{head:?}: {answers}");
        assert!(count == 0 || answers.starts_with("HTTP/1.1 4"), "{head:?}: {answers}");
    }
    for chunks in ["FFFFFFFFFFFFFFFFF\r\n", "-1\r\n", "G\r\n", "1\r\nab\r\n0\r\n\r\n", "\r\n"] {
        let head = format!("{post}Transfer-Encoding: chunked\r\n\r\n");
        let answers = answers_to(front.address, format!("{head}{chunks}{hidden}")).await;
        assert!(answers.is_empty() || answers.starts_with("HTTP/1.1 4"), "{chunks:?}: {answers}");
        assert!(!answers.contains("200 OK"), "{chunks:?}: {answers}");
    }
    front.stop().await;
}

#[actix_rt::test]
async fn a_head_has_a_host_and_is_bounded() {
    let front = serve_http(&http_settings());
    let long = "x".repeat(200_000);
    let many = "A: b\r\n".repeat(200);
    for (what, bytes) in [
        ("no host", "GET /small HTTP/1.1\r\n\r\n".to_owned()),
        ("two hosts", "GET /small HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n".to_owned()),
        ("a long path", format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n")),
        ("a long header", format!("GET /small HTTP/1.1\r\nHost: x\r\nA: {long}\r\n\r\n")),
        ("many headers", format!("GET /small HTTP/1.1\r\nHost: x\r\n{many}\r\n")),
        ("no version", "GET /small\r\n\r\n".to_owned()),
        ("another version", "GET /small HTTP/3.0\r\nHost: x\r\n\r\n".to_owned()),
        ("no request", "\u{16}\u{3}\u{1}garbage\r\n\r\n".to_owned()),
    ] {
        let answers = answers_to(front.address, bytes).await;
        assert!(answers.is_empty() || answers.starts_with("HTTP/1.1 4"), "{what}: {answers}");
        assert!(!answers.contains("small"), "{what}: {answers}");
    }
    let fine = "GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(answers_to(front.address, fine).await.ends_with("small"));
    front.stop().await;
}

#[actix_rt::test]
async fn no_path_leads_to_a_file() {
    let front = serve_http(&http_settings());
    for prefix in ["", "/swagger-ui", "/metrics", "/livez"] {
        for up in ["/..", "/%2e%2e", "/.%2e", "/%2e%2e%2f..", "/..%5c..", "/%252e%252e", "/..;"] {
            let path = format!("{prefix}{}/etc/passwd", up.repeat(8));
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let answer = answers_to(front.address, request).await;
            assert!(answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
            assert!(!answer.contains("root:"), "{path}: {answer}");
        }
    }
    front.stop().await;
}

#[actix_rt::test]
async fn a_client_that_resets_each_call_at_once_keeps_nobody_out() {
    let mut settings = grpc_settings();
    settings.stop_timeout = 10 * PATIENCE;
    let front = serve_probe(&settings, &Health::new()).await;
    let (client, connection) = http2(front.address, 65_535).await;
    let flood = async {
        for _ in 0..10_000 {
            let Ok(mut client) = client.clone().ready().await else { return };
            let request = Request::post(format!("http://{}/test.Probe/Echo", front.address));
            let request = request.header("content-type", "application/grpc").body(()).unwrap();
            let Ok((_answer, mut body)) = client.send_request(request, false) else { return };
            body.send_reset(h2::Reason::CANCEL);
        }
    };
    let channel = channel_to(&front);
    let others = async {
        for _ in 0..50 {
            assert_eq!(say(&channel, "hello").await.unwrap(), "hello");
        }
    };
    timeout(PATIENCE, async { tokio::join!(flood, others) }).await.expect("both end");
    drop(client);
    let _ = timeout(PATIENCE, connection).await.expect("the connection ends");
    // None of the calls is left, so there is nothing to wait for.
    timeout(PATIENCE, front.stop()).await.expect("the server stops");
}

#[actix_rt::test]
async fn metadata_is_bounded() {
    let front = serve_probe(&grpc_settings(), &Health::new()).await;
    let call = async |value: HeaderValue, count: usize| {
        let (mut client, connection) = http2(front.address, 65_535).await;
        let mut request = Request::post(format!("http://{}/test.Probe/Echo", front.address))
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        for number in 0..count {
            let name = format!("x-{number}").parse::<tonic::codegen::http::HeaderName>().unwrap();
            request.headers_mut().insert(name, value.clone());
        }
        let (answer, mut body) = client.send_request(request, false).unwrap();
        // The server may refuse the call before it has its body.
        let _ = body.send_data(Bytes::from_static(b"\0\0\0\0\0"), true);
        let status =
            timeout(PATIENCE, answer).await.unwrap().map(|answer| answer.status().as_u16());
        connection.abort();
        status
    };
    assert_eq!(call(HeaderValue::from_static("x"), 10).await.unwrap(), 200);
    for (bytes, count) in [(20_000, 1), (100, 200)] {
        let value = HeaderValue::from_str(&"x".repeat(bytes)).unwrap();
        let outcome = call(value, count).await;
        assert!(!matches!(outcome, Ok(200)), "{count} of {bytes} bytes: {outcome:?}");
    }
    assert_eq!(say(&channel_to(&front), "hello").await.unwrap(), "hello");
    front.stop().await;
}

#[actix_rt::test]
async fn a_head_in_endless_pieces_is_closed() {
    let front = serve_probe(&grpc_settings(), &Health::new()).await;
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let frame = |kind: u8, stream: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0, 0, 0, 0, stream], payload].concat()
    };
    bytes.extend(frame(4, 0, b""));
    // HEADERS without END_HEADERS, followed by CONTINUATION frames that do not end it either.
    bytes.extend(frame(1, 1, b"\x40\x01a\x01b"));
    for _ in 0..100_000 {
        bytes.extend(frame(9, 1, b"\x40\x01a\x01b"));
    }
    answers_to(front.address, bytes).await;
    assert_eq!(say(&channel_to(&front), "hello").await.unwrap(), "hello");
    front.stop().await;
}
