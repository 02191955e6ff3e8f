//! What an HTTP client receives for each kind of invalid request.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use dev::testing::eventually;
use serde_json::{Value, json};
use service_kit::error::{ErrorCode, ServiceError};
use service_kit::http::{
    ApiError, ErrorParts, HttpFrontEnd, HttpServerSettings, HttpService, JsonBody, serve,
};
use service_kit::metrics;
use service_kit::settings::ListenAddress;
use shared_actors::deadline;
use shared_actors::health::Health;
use utoipa::openapi::OpenApiBuilder;

#[derive(serde::Deserialize)]
struct Add {
    count: u16,
}

#[derive(Debug, thiserror::Error)]
#[error("connection to 10.0.0.7 refused")]
struct Away;

impl ServiceError for Away {
    fn code(&self) -> ErrorCode {
        ErrorCode::Unavailable
    }

    fn public_message(&self) -> String {
        "the shop is closed".to_owned()
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(Duration::from_millis(1500))
    }
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(
            web::resource("/user/{user_id}/cart")
                .route(
                    web::get()
                        .to(|path: web::Path<i64>| async move { HttpResponse::Ok().json(*path) }),
                )
                .route(web::delete().to(|| async { HttpResponse::NoContent().finish() })),
        )
        .service(web::resource("/add").route(
            web::post().to(|JsonBody(add): JsonBody<Add>| async move {
                HttpResponse::Ok().json(add.count)
            }),
        ))
        .service(web::resource("/panic").route(web::get().to(panicking)))
        .service(
            web::resource("/away")
                .route(web::get().to(|| async { Err::<HttpResponse, _>(ApiError::from(Away)) })),
        )
        .service(web::resource("/cookies").route(web::get().to(cookies)))
        .service(web::resource("/slow").route(web::get().to(slow)))
        .service(web::resource("/abandoned").route(web::get().to(abandoned)))
        .service(web::resource("/arriving").route(web::get().to(arriving)))
        .service(web::resource("/patient").route(web::get().to(patient)))
        .service(web::resource("/counted/answer").route(web::get().to(HttpResponse::Ok)))
        .service(web::resource("/counted/panic").route(web::get().to(panicking)))
        .service(web::resource("/counted/slow").route(web::get().to(slow)))
        .service(web::resource("/counted/patient").route(web::get().to(patient)));
}

async fn cookies() -> HttpResponse {
    let mut refusal = HttpResponse::Forbidden();
    refusal.append_header(("Set-Cookie", "a=1")).append_header(("Set-Cookie", "b=2")).finish()
}

async fn panicking() -> HttpResponse {
    panic!("secret internals")
}

async fn slow() -> HttpResponse {
    std::future::pending().await
}

async fn patient() -> Result<HttpResponse, ApiError> {
    let at = deadline::current().expect("a deadline");
    tokio::time::sleep_until(at).await;
    Err(ApiError::new(ErrorCode::DeadlineExceeded, "in my own words"))
}

fn error_body(parts: &ErrorParts) -> HttpResponse {
    let body =
        json!({ "code": parts.code.as_str(), "message": parts.message, "field": parts.field });
    HttpResponse::build(parts.code.http_status()).json(body)
}

fn start(health: &Health) -> HttpFrontEnd {
    start_with(health, Duration::from_millis(200))
}

fn start_with(health: &Health, request_timeout: Duration) -> HttpFrontEnd {
    let mut settings = HttpServerSettings::new(ListenAddress::loopback());
    settings.workers = 1;
    settings.request_timeout = request_timeout;
    let openapi = OpenApiBuilder::new().build();
    serve(
        &settings,
        HttpService { health: health.clone(), openapi, errors: error_body, identity: None },
        routes,
    )
    .unwrap()
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

async fn send(address: SocketAddr, request: impl Into<String>) -> Answer {
    let request = request.into();
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // The server may close the connection before it has read a body that it refuses.
        let _ = stream.write_all(request.as_bytes());
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        String::from_utf8(text).unwrap()
    };
    let text = tokio::task::spawn_blocking(exchange).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    ask_with(address, "", method, path, body).await
}

async fn ask_with(
    address: SocketAddr,
    header: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Answer {
    let length = body.len();
    send(
        address,
        format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}Content-Length: {length}\r\n\r\n{body}"),
    )
    .await
}

#[actix_rt::test]
async fn every_error_has_the_shape_of_the_service() {
    let front = start(&Health::new());
    let at = front.address;
    let large = format!("{{\"count\": 1{}}}", " ".repeat(20_000));
    for (method, path, body, status, code, field) in [
        ("GET", "/nowhere", "", 404, "NOT_FOUND", None),
        ("POST", "/user/1/cart", "", 405, "METHOD_NOT_ALLOWED", None),
        ("GET", "/user/abc/cart", "", 400, "INVALID_ARGUMENT", Some("user_id")),
        ("GET", "/user/9223372036854775808/cart", "", 400, "INVALID_ARGUMENT", Some("user_id")),
        ("POST", "/add", "", 400, "INVALID_ARGUMENT", None),
        ("POST", "/add", "{\"count\": ", 400, "INVALID_ARGUMENT", None),
        ("POST", "/add", "{\"count\": 65536}", 400, "INVALID_ARGUMENT", Some("count")),
        ("POST", "/add", "{}", 400, "INVALID_ARGUMENT", Some("count")),
        ("POST", "/add", large.as_str(), 413, "PAYLOAD_TOO_LARGE", None),
        ("DELETE", "/user/1/cart", large.as_str(), 413, "PAYLOAD_TOO_LARGE", None),
        ("GET", "/panic", "", 500, "INTERNAL", None),
        ("GET", "/away", "", 503, "UNAVAILABLE", None),
        ("GET", "/slow", "", 504, "DEADLINE_EXCEEDED", None),
        ("GET", "/patient", "", 504, "DEADLINE_EXCEEDED", None),
    ] {
        let answer = ask(at, method, path, body).await;
        let json = answer.json();
        assert_eq!(
            (answer.status, json["code"].as_str(), json["field"].as_str()),
            (status, Some(code), field),
            "{method} {path}: {json}"
        );
        assert!(
            !answer.body.contains("internals") && !answer.body.contains("10.0.0.7"),
            "{}",
            answer.body
        );
    }
    assert_eq!(ask(at, "GET", "/patient", "").await.json()["message"], "in my own words");
    let refused = ask(at, "POST", "/user/1/cart", "").await;
    assert_eq!(refused.header("Allow"), Some("GET, DELETE, HEAD, OPTIONS"));
    let again = ask(at, "GET", "/away", "").await.header("Retry-After").map(str::to_owned);
    assert!(["1", "2", "3"].map(|text| Some(text.to_owned())).contains(&again), "{again:?}");
    front.stop().await;
}

#[actix_rt::test]
async fn a_body_is_json_whatever_it_calls_itself_and_bounded_however_it_comes() {
    let front = start(&Health::new());
    let chunked = |body: &str| {
        format!(
            "POST /add HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        )
    };
    let good = send(front.address, chunked("{\"count\": 7}")).await;
    assert_eq!((good.status, good.body.as_str()), (200, "7"));
    let large = send(front.address, chunked(&" ".repeat(16 * 1024 + 1))).await;
    assert_eq!((large.status, large.json()["code"].as_str()), (413, Some("PAYLOAD_TOO_LARGE")));
    let largest =
        send(front.address, chunked(&format!("{}{{\"count\": 7}}", " ".repeat(16 * 1024 - 12))))
            .await;
    assert_eq!(largest.status, 200);
    front.stop().await;
}

#[actix_rt::test]
async fn the_api_waits_for_the_first_readiness_and_the_operations_do_not() {
    let health = Health::new();
    let database = health.component("postgres shard 0");
    let front = start(&health);
    let at = front.address;
    let early = ask(at, "GET", "/user/1/cart", "").await;
    assert!(early.status == 503 && early.header("Retry-After").is_some(), "{}", early.head);
    assert_eq!(early.json()["code"], "UNAVAILABLE");
    assert_eq!(ask(at, "GET", "/livez", "").await.body, "ok");
    let unready = ask(at, "GET", "/readyz", "").await;
    assert_eq!(unready.status, 503);
    assert_eq!(unready.json()["components"][0]["reason"], "starting");

    database.ready();
    assert_eq!(ask(at, "GET", "/user/1/cart", "").await.status, 200);
    database.waiting("connection refused");
    assert_eq!(ask(at, "GET", "/user/1/cart", "").await.status, 200);
    assert_eq!(
        ask(at, "GET", "/readyz", "").await.json()["components"][0]["reason"],
        "connection refused"
    );
    assert_eq!(ask(at, "GET", "/openapi.json", "").await.status, 200);
    assert_eq!(ask(at, "GET", "/swagger-ui/", "").await.status, 200);
    assert_eq!(ask(at, "HEAD", "/livez", "").await.status, 200);
    front.stop().await;
}

#[actix_rt::test]
async fn a_client_may_ask_for_an_earlier_deadline_and_for_no_later_one() {
    for (longest, wanted) in
        [(Duration::from_mins(1), "50m"), (Duration::from_millis(50), "99999999H")]
    {
        let front = start_with(&Health::new(), longest);
        let header = format!("Grpc-Timeout: {wanted}\r\n");
        let answer = ask_with(front.address, &header, "GET", "/patient", "").await;
        assert_eq!(
            (answer.status, &answer.json()["message"]),
            (504, &json!("in my own words")),
            "{wanted}"
        );
        front.stop().await;
    }
    let front = start(&Health::new());
    let answer = ask_with(front.address, "Grpc-Timeout: soon\r\n", "GET", "/user/1/cart", "").await;
    assert_eq!(
        (answer.status, &answer.json()["field"]),
        (400, &json!("Grpc-Timeout")),
        "{}",
        answer.body
    );
    front.stop().await;
}

#[actix_rt::test]
async fn metrics_name_the_route_and_never_the_path() {
    let front = start(&Health::new());
    let at = front.address;
    ask(at, "GET", "/user/4711/cart", "").await;
    ask(at, "GET", "/secret/4711", "").await;
    ask(at, "INVENTED", "/secret/4711", "").await;
    let text = ask(at, "GET", "/metrics", "").await.body;
    for line in [
        r#"api_requests_total{method="GET",status="200",url="/user/{user_id}/cart"}"#,
        r#"api_requests_total{method="GET",status="404",url="unmatched"}"#,
        r#"api_requests_total{method="OTHER",status="404",url="unmatched"}"#,
        r#"api_request_duration_seconds_bucket{method="GET",status="200",url="/user/{user_id}/cart",le="0.001"}"#,
        "process_cpu_seconds_total",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    // Check only the series: a value in bytes may well contain these digits.
    for (series, _value) in text.lines().filter_map(|line| line.rsplit_once(' ')) {
        assert!(!series.contains("4711") && !series.contains("/metrics\""), "{series}");
    }
    assert_eq!(metrics::CONTENT_TYPE, "text/plain; version=0.0.4");
    front.stop().await;
}

#[actix_rt::test]
async fn each_request_is_counted_once_however_it_ends() {
    let front = start_with(&Health::new(), Duration::from_millis(50));
    let endings = [("answer", 200), ("panic", 500), ("slow", 504), ("patient", 504)];
    for (name, status) in endings {
        assert_eq!(
            ask(front.address, "GET", &format!("/counted/{name}"), "").await.status,
            status,
            "{name}"
        );
    }
    let text = ask(front.address, "GET", "/metrics", "").await.body;
    let all: Vec<&str> = text.lines().filter(|line| line.contains("\"/counted/")).collect();
    for (name, status) in endings {
        let labels = format!(r#"{{method="GET",status="{status}",url="/counted/{name}"}} 1"#);
        for family in ["api_requests_total", "api_request_duration_seconds_count"] {
            assert!(
                all.contains(&&*format!("{family}{labels}")),
                "{family}{labels} is not among {all:#?}"
            );
        }
    }
    let of_requests = all.iter().filter(|line| line.starts_with("api_requests_total"));
    assert_eq!(of_requests.count(), endings.len(), "{all:#?}");
    for family in ["api_requests_total counter", "api_request_duration_seconds histogram"] {
        assert_eq!(text.matches(&format!("# TYPE {family}\n")).count(), 1, "{family} in {text}");
    }
    front.stop().await;
}

const PAGE: &str = "http://localhost:8089";

#[actix_rt::test]
async fn a_page_may_read_every_answer_and_no_cache_keeps_one() {
    let starting = Health::new();
    let database = starting.component("postgres shard 0");
    let front = start(&starting);
    let at = front.address;
    let large = " ".repeat(20_000);
    let read = async |header: &str, method: &str, path: &str, body: &str, status: u16| {
        let answer = ask_with(at, &format!("Origin: {PAGE}\r\n{header}"), method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        let allowed = answer.header("Access-Control-Allow-Origin");
        assert_eq!(allowed, Some(PAGE), "{method} {path}: {}", answer.head);
        answer
    };
    read("", "GET", "/user/1/cart", "", 503).await;
    let wanted =
        "authorization,baggage,content-type,grpc-timeout,idempotency-key,traceparent,tracestate";
    let preflight = format!(
        "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: {wanted}\r\n"
    );
    read(&preflight, "OPTIONS", "/add", "", 200).await;
    database.ready();
    for (header, method, path, body, status) in [
        ("", "GET", "/user/1/cart", "", 200),
        ("", "GET", "/nowhere", "", 404),
        ("Grpc-Timeout: soon\r\n", "GET", "/user/1/cart", "", 400),
        ("", "POST", "/add", large.as_str(), 413),
        ("Content-Encoding: gzip\r\n", "POST", "/add", "{}", 415),
        ("", "GET", "/panic", "", 500),
        ("", "GET", "/away", "", 503),
        ("", "GET", "/slow", "", 504),
    ] {
        let answer = read(header, method, path, body, status).await;
        assert_eq!(
            answer.header("Cache-Control"),
            Some("no-store"),
            "{method} {path}: {}",
            answer.head
        );
    }
    let foreign = ask_with(at, "Origin: http://evil.example\r\n", "GET", "/slow", "").await;
    assert_eq!(foreign.header("Access-Control-Allow-Origin"), None);
    front.stop().await;
}

#[actix_rt::test]
async fn a_body_that_is_packed_or_does_not_come_is_refused_as_that() {
    let front = start(&Health::new());
    let packed =
        ask_with(front.address, "Content-Encoding: gzip\r\n", "POST", "/add", "{\"count\": 7}")
            .await;
    assert_eq!(
        (packed.status, packed.json()["code"].as_str()),
        (415, Some("UNSUPPORTED_MEDIA_TYPE"))
    );
    let plain =
        ask_with(front.address, "Content-Encoding: identity\r\n", "POST", "/add", "{\"count\": 7}")
            .await;
    assert_eq!(plain.status, 200);
    let head = "POST /add HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    for slow in
        ["Content-Length: 100\r\n\r\n{\"count\"", "Transfer-Encoding: chunked\r\n\r\n8\r\n{\"count"]
    {
        let late = send(front.address, format!("{head}{slow}")).await;
        assert_eq!(
            (late.status, late.json()["code"].as_str()),
            (408, Some("REQUEST_TIMEOUT")),
            "{slow}"
        );
    }
    front.stop().await;
}

#[actix_rt::test]
async fn an_error_keeps_every_header_of_its_handler() {
    let front = start(&Health::new());
    let refused = ask(front.address, "GET", "/cookies", "").await;
    let cookies: Vec<&str> =
        refused.head.lines().filter(|line| line.to_lowercase().starts_with("set-cookie")).collect();
    assert_eq!((refused.status, cookies.len()), (403, 2), "{}", refused.head);
    front.stop().await;
}

#[actix_rt::test]
async fn a_client_that_breaks_its_connection_is_counted_once() {
    let front = start_with(&Health::new(), Duration::from_mins(1));
    let mut stream = TcpStream::connect(front.address).unwrap();
    stream.write_all(b"GET /abandoned HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    ABANDONED.notified().await;
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    let counted = r#"api_requests_total{method="GET",status="499",url="/abandoned"} 1"#;
    eventually(Duration::from_secs(20), "it is counted", async || {
        metrics::render().contains(counted)
    })
    .await;
    front.stop().await;
}

static ABANDONED: tokio::sync::Notify = tokio::sync::Notify::const_new();

async fn abandoned() -> HttpResponse {
    ABANDONED.notify_one();
    std::future::pending().await
}

#[actix_rt::test]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let settings = HttpServerSettings::new(address.into());
    let openapi = OpenApiBuilder::new().build();
    let result = serve(
        &settings,
        HttpService { health: Health::new(), openapi, errors: error_body, identity: None },
        routes,
    );
    let message = result.err().expect("the port is taken").to_string();
    assert!(message.contains(&format!("cannot listen on {address}")), "{message}");
}

#[actix_rt::test]
async fn stopping_answers_what_was_asked_and_does_not_wait_for_idle_connections() {
    let front = start(&Health::new());
    let idle = TcpStream::connect(front.address).unwrap();
    let asked = actix_rt::spawn(ask(front.address, "GET", "/arriving", ""));
    ARRIVED.notified().await;
    let started = std::time::Instant::now();
    front.stop().await;
    assert_eq!(asked.await.unwrap().status, 504);
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop(idle);
}

static ARRIVED: tokio::sync::Notify = tokio::sync::Notify::const_new();

async fn arriving() -> Result<HttpResponse, ApiError> {
    ARRIVED.notify_one();
    patient().await
}

#[actix_rt::test]
async fn a_server_that_ends_is_told_of() {
    let front = start(&Health::new());
    let (address, ended) = (front.address, front.ended());
    front.stop().await;
    assert_eq!(ended.await.to_string(), format!("the HTTP server at {address} ended"));
}

#[actix_rt::test]
async fn head_and_options_are_answered_for_every_route() {
    let front = start(&Health::new());
    let got = ask(front.address, "GET", "/user/7/cart", "").await;
    let head = ask(front.address, "HEAD", "/user/7/cart", "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""), "{}", head.head);
    let length = |head: &str| {
        let mut lines = head.lines().map(str::to_lowercase);
        lines.find(|line| line.starts_with("content-length")).unwrap()
    };
    assert_eq!(length(&head.head), length(&got.head));
    assert_eq!(ask(front.address, "HEAD", "/livez", "").await.status, 200);
    // The next request arrives while the HEAD is being answered.
    let address = front.address;
    let both = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = "HEAD /user/7/cart HTTP/1.1\r\nHost: x\r\n\r\n";
        let get = "GET /user/8/cart HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(format!("{head}{get}").as_bytes()).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        answers
    });
    let both = both.await.unwrap();
    let (first, rest) = both.split_once("\r\n\r\n").unwrap();
    assert!(first.starts_with("HTTP/1.1 200"), "{both}");
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1"), "{both}");
    assert_eq!(ask(front.address, "HEAD", "/add", "").await.status, 405);
    for (path, allowed) in [
        ("/user/7/cart", "allow: GET, DELETE, HEAD, OPTIONS"),
        ("/add", "allow: POST, OPTIONS"),
        ("/livez", "allow: GET, HEAD, OPTIONS"),
        ("*", "allow: GET, POST, DELETE, HEAD, OPTIONS"),
    ] {
        let options = ask(front.address, "OPTIONS", path, "").await;
        assert_eq!((options.status, options.body.as_str()), (204, ""), "{path}: {}", options.head);
        assert!(options.head.to_lowercase().contains(&allowed.to_lowercase()), "{}", options.head);
    }
    assert_eq!(ask(front.address, "OPTIONS", "/nothing", "").await.status, 404);
    front.stop().await;
}

#[actix_rt::test]
async fn an_unknown_upgrade_is_ignored() {
    let front = start(&Health::new());
    for path in ["/user/7/cart", "/livez"] {
        let upgrade = "Connection: Upgrade\r\nUpgrade: foo/2\r\n";
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n");
        let answers = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(front.address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answers = String::new();
            stream.read_to_string(&mut answers).unwrap();
            answers.to_lowercase()
        });
        let answers = answers.await.unwrap();
        assert!(answers.starts_with("http/1.1 200 ok"), "{answers}");
        assert!(answers.contains("connection: close") && !answers.contains("upgrade"), "{answers}");
    }
    front.stop().await;
}
