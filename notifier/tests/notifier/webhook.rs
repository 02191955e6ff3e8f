//! The webhook channel of the shipping binary: what a receiver gets, and how its answers count.
#![allow(clippy::unwrap_used, reason = "a test's helper fails the test by its panic")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{App, FromRequest, Handler, HttpRequest, HttpResponse, HttpServer, web};
use dev::testing::{Authority, Certificate, ServiceProcess, TlsTerminator, eventually, free_port};
use serde_json::Value;
use standardwebhooks::Webhook;

use crate::support::{SOON, World, event};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz";

/// A request that was received.
#[derive(Clone, Debug)]
struct Received {
    headers: http::HeaderMap,
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The order and the sequence of the event.
    fn event(&self) -> (i64, i64) {
        let event: Value = serde_json::from_slice(&self.body).unwrap();
        (event["id"].as_i64().unwrap(), event["sequence"].as_i64().unwrap())
    }
}

/// A receiver of webhooks. It sends the queued answers, and then 204.
#[derive(Clone, Default)]
struct Receiver {
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    after: Duration,
}

impl Answer {
    fn of(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new(), after: Duration::ZERO }
    }
}

/// Serves every request with `handler` on a port of localhost until the test ends, and returns the
/// URL without a path. The handler gets `receiver` as its data.
pub fn serve<R, F, Args>(receiver: R, handler: F) -> String
where
    R: Clone + Send + 'static,
    F: Handler<Args, Output = HttpResponse> + Send,
    Args: FromRequest + 'static,
{
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(receiver.clone()))
            .default_service(web::to(handler.clone()))
    })
    .workers(1)
    .disable_signals()
    .bind(("127.0.0.1", 0))
    .unwrap();
    let address = server.addrs()[0];
    actix::spawn(server.run());
    format!("http://{address}")
}

impl Receiver {
    /// Serves on a port of localhost until the test ends, and returns the URL.
    fn serve(&self) -> String {
        format!("{}/hooks?shop=1", serve(self.clone(), receive))
    }

    fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    async fn holds(&self, count: usize) -> Vec<Received> {
        eventually(SOON, "the webhooks are received", async || {
            let received = self.received();
            if received.len() >= count { Ok(received) } else { Err(received.len()) }
        })
        .await
    }
}

async fn receive(
    request: HttpRequest,
    body: web::Bytes,
    receiver: web::Data<Receiver>,
) -> HttpResponse {
    let mut headers = http::HeaderMap::new();
    for (name, value) in request.headers() {
        let name: http::HeaderName = name.as_str().parse().unwrap();
        headers.insert(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    assert_eq!(request.uri().query(), Some("shop=1"));
    receiver.received.lock().unwrap().push(Received { headers, body: body.to_vec() });
    let answer = receiver.answers.lock().unwrap().pop_front().unwrap_or_else(|| Answer::of(204));
    tokio::time::sleep(answer.after).await;
    let mut response = HttpResponse::build(answer.status.try_into().unwrap());
    for (name, value) in answer.headers {
        response.insert_header((name, value));
    }
    response.body(answer.body)
}

/// Starts the binary with only this channel.
async fn notifier(world: &World, url: &str, more: &[(&str, &str)]) -> ServiceProcess {
    let mut env = world.env("one");
    env.retain(|(name, _)| name != "HTTP_PORT");
    let port = free_port().to_string();
    let channel = [
        ("HTTP_PORT", port.as_str()),
        ("NOTIFICATION_CHANNELS", "webhook"),
        ("WEBHOOK_URL", url),
        ("WEBHOOK_SECRET", SECRET),
        ("WEBHOOK_ALLOW_PRIVATE", "true"),
    ];
    let pairs = channel.into_iter().chain(more.iter().copied());
    env.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    ServiceProcess::start("notifier", &env).await
}

#[actix::test]
async fn a_receiver_gets_the_event_signed_with_its_id_and_trace() {
    let world = World::new().await;
    let receiver = Receiver::default();
    let mut notifier = notifier(&world, &receiver.serve(), &[("WEBHOOK_STATES", "PAYED")]).await;
    let (new, payed) = (event(1000, 1, "NEW"), event(1000, 2, "PAYED"));
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut record = world.record(&payed);
    record.headers = record.headers.with("traceparent", traceparent);
    world.producer.publish(vec![world.record(&new), record]).await.unwrap();
    let received = receiver.holds(1).await.remove(0);
    assert_eq!(received.event(), (1000, 2), "only paid orders");
    assert_eq!(serde_json::from_slice::<Value>(&received.body).unwrap(), payed);
    assert_eq!(received.header("webhook-id"), payed["eventId"].as_str().unwrap());
    assert_eq!(received.header("content-type"), "application/json");
    assert_eq!(received.header("traceparent"), traceparent);
    let verifier = Webhook::new(SECRET).unwrap();
    verifier.verify(&received.body, &received.headers).unwrap();
    let other = Webhook::new("whsec_MTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz").unwrap();
    assert!(other.verify(&received.body, &received.headers).is_err());
    assert_eq!(notifier.terminate().await.code(), Some(0));
    assert_eq!(receiver.received().len(), 1);
    assert!(!notifier.log().contains(SECRET));
}

#[actix::test]
async fn an_event_is_posted_over_tls_to_a_receiver_that_proves_itself_and_to_no_other() {
    let (authority, unknown) = (Authority::new(), Authority::new());
    let (trusted, stranger) = (authority.sign("receiver"), unknown.sign("receiver"));
    let ca = authority.file().display().to_string();
    let posts = async |certificate: &Certificate| {
        let (world, receiver) = (World::new().await, Receiver::default());
        let url = receiver.serve();
        let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
        let terminator = TlsTerminator::before(host, "http/1.1", certificate);
        let url = format!("{}/{path}", terminator.url());
        let notifier = notifier(&world, &url, &[("WEBHOOK_CA_FILE", &ca)]).await;
        world.publish(&[event(1000, 1, "NEW")]).await;
        (world, receiver, terminator, notifier)
    };
    let (_world, receiver, _terminator, _notifier) = posts(&trusted).await;
    assert_eq!(receiver.holds(1).await[0].event(), (1000, 1));

    let (world, receiver, _terminator, _notifier) = posts(&stranger).await;
    eventually(SOON, "the notification waits for the receiver", async || {
        // The second attempt means that the first one has failed.
        let failed = "deliveries where attempts > 1";
        let count = world.count(failed).await;
        if count == 1 { Ok(()) } else { Err(count) }
    })
    .await;
    assert!(receiver.received().is_empty());
}

#[actix::test]
async fn a_receiver_that_is_busy_slow_or_broken_gets_the_event_again_with_the_same_id() {
    let world = World::new().await;
    let receiver = Receiver::default();
    receiver.answer([
        Answer::of(500),
        Answer::of(429),
        Answer { after: Duration::from_mins(1), ..Answer::of(204) },
        Answer { headers: vec![("retry-after", "1".to_owned())], ..Answer::of(400) },
    ]);
    let timeout = [("NOTIFICATION_TIMEOUT", "2s")];
    let mut notifier = notifier(&world, &receiver.serve(), &timeout).await;
    world.publish(&[event(1000, 1, "NEW"), event(1000, 2, "FAILED")]).await;
    let received = receiver.holds(6).await;
    let events: Vec<(i64, i64)> = received.iter().map(Received::event).collect();
    assert_eq!(events, [(1000, 1), (1000, 1), (1000, 1), (1000, 1), (1000, 1), (1000, 2)]);
    let id = received[0].header("webhook-id");
    assert!(received[1..5].iter().all(|again| again.header("webhook-id") == id));
    assert_eq!(notifier.terminate().await.code(), Some(0));
    assert_eq!(world.count("letters").await, 0);
}

#[actix::test]
async fn an_event_that_is_refused_becomes_a_dead_letter_with_the_answer() {
    let world = World::new().await;
    let receiver = Receiver::default();
    let elsewhere = Receiver::default();
    let location = ("location", elsewhere.serve());
    let huge = "x".repeat(10_000_000);
    receiver.answer([
        Answer { body: "unknown order".to_owned(), ..Answer::of(422) },
        Answer { headers: vec![location], ..Answer::of(307) },
        Answer { body: format!("no {huge}"), ..Answer::of(403) },
    ]);
    let once = [("NOTIFICATION_MAX_RETRIES", "0")];
    let mut notifier = notifier(&world, &receiver.serve(), &once).await;
    for sequence in 1..=3 {
        world.publish(&[event(1000, sequence, "NEW")]).await;
    }
    let letters = world.dead_letters(3).await;
    let reasons: Vec<&str> =
        letters.iter().map(|letter| letter.headers.text("x-error-reason").unwrap()).collect();
    assert_eq!(reasons[0], "422 Unprocessable Entity: unknown order");
    assert_eq!(reasons[1], "307 Temporary Redirect: redirects are not followed");
    assert!(reasons[2].starts_with("403 Forbidden: no xxx"), "{}", reasons[2]);
    assert!(reasons[2].len() <= 1024);
    assert!(elsewhere.received().is_empty());
    assert_eq!(notifier.terminate().await.code(), Some(0));
}

#[actix::test]
async fn a_name_with_a_private_address_is_not_called() {
    let world = World::new().await;
    let receiver = Receiver::default();
    let url = receiver.serve().replace("127.0.0.1", "localhost");
    let settings = [("WEBHOOK_ALLOW_PRIVATE", "false"), ("NOTIFICATION_TTL", "1s")];
    let mut notifier = notifier(&world, &url, &settings).await;
    world.publish(&[event(1000, 1, "NEW")]).await;
    let letters = world.dead_letters(1).await;
    let reason = letters[0].headers.text("x-error-reason").unwrap();
    assert!(
        reason.contains("localhost has the address") && reason.contains("not public"),
        "{reason}"
    );
    assert_eq!(notifier.terminate().await.code(), Some(0));
    assert!(receiver.received().is_empty());
}
