//! The receivers: a webhook that fails 10 % of the requests and rejects some orders, and a slow mail
//! server.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use fastrand::Rng;
use uuid::Uuid;

use crate::email::MailServer;
use crate::webhook::serve;

/// What share of the requests fails.
const FAILING: f64 = 0.1;
/// The longest time that the webhook takes to answer, in milliseconds.
const LONGEST_MS: u64 = 10;

/// The ids of the events that were accepted, in the order of their arrival.
#[derive(Clone)]
pub struct WebhookReceiver {
    accepted: Arc<Mutex<Vec<Uuid>>>,
    rng: Arc<Mutex<Rng>>,
}

impl WebhookReceiver {
    pub fn new(rng: Rng) -> Self {
        Self { accepted: Arc::default(), rng: Arc::new(Mutex::new(rng)) }
    }

    /// Serves on a port of localhost until the test ends, and returns the URL.
    pub fn serve(&self) -> String {
        format!("{}/", serve(self.clone(), receive))
    }

    pub fn accepted(&self) -> Vec<Uuid> {
        self.accepted.lock().unwrap().clone()
    }
}

/// Whether the webhook rejects the events of an order.
pub fn is_rejected(order: i64) -> bool {
    order / 1000 % 20 == 7
}

async fn receive(
    request: HttpRequest,
    event: web::Json<serde_json::Value>,
    receiver: web::Data<WebhookReceiver>,
) -> HttpResponse {
    if is_rejected(event["id"].as_i64().unwrap()) {
        return HttpResponse::UnprocessableEntity().body("not this order");
    }
    let id = request.headers().get("webhook-id").unwrap().to_str().unwrap().parse().unwrap();
    let (fails, after) = {
        let mut rng = receiver.rng.lock().unwrap();
        (rng.f64() < FAILING, Duration::from_millis(rng.u64(..LONGEST_MS)))
    };
    tokio::time::sleep(after).await;
    if fails {
        return HttpResponse::ServiceUnavailable().finish();
    }
    receiver.accepted.lock().unwrap().push(id);
    HttpResponse::NoContent().finish()
}

/// The ids of the events whose mails were accepted, in the order of their arrival.
pub fn mailed(server: &MailServer) -> Vec<Uuid> {
    let Ok(ids) = fs::read_to_string(server.path("mails")) else { return Vec::new() };
    let id = |line: &str| line.trim_start_matches('<').split('@').next().unwrap().parse().unwrap();
    // The last line may still be written.
    let complete = ids.rsplit_once('\n').map_or("", |(lines, _)| lines);
    complete.lines().map(id).collect()
}
