//! One client's calls, to either instance.

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::ledger::Told;

/// Answers that leave the outcome open. Apart from these, only success and refusal are expected.
const UNKNOWN: [StatusCode; 3] =
    [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];

/// The gRPC code for calls that the state of the shop forbids.
const FAILED_PRECONDITION: i64 = 9;

/// Calls both instances. Cheap to clone.
#[derive(Clone)]
pub struct Caller {
    pub http: Client,
    pub base_urls: [String; 2],
}

/// The outcome of a call that is not a create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    Refused,
    Unknown,
}

impl Caller {
    pub async fn create(
        &self,
        instance: usize,
        user: u32,
        items: &[(u32, u32)],
        key: Option<&str>,
    ) -> Told {
        let items: Vec<Value> =
            items.iter().map(|(sku, count)| json!({"sku": sku, "count": count})).collect();
        let body = json!({"order": {"user": user, "items": items}, "idempotencyKey": key.unwrap_or_default()});
        match self.post(instance, "/v1/orders", &body).await {
            (Outcome::Done, body) => {
                let id = body["orderId"].as_str().and_then(|id| id.parse().ok());
                Told::Created(id.unwrap_or_else(|| panic!("no order id in {body}")))
            }
            (Outcome::Refused, _) => Told::OutOfStock,
            (Outcome::Unknown, _) => Told::Unknown,
        }
    }

    pub async fn pay(&self, instance: usize, order: i64) -> Outcome {
        self.post(instance, &format!("/v1/orders/{order}/pay"), &json!({})).await.0
    }

    pub async fn cancel(&self, instance: usize, order: i64) -> Outcome {
        self.post(instance, &format!("/v1/orders/{order}/cancel"), &json!({})).await.0
    }

    pub async fn restock(&self, instance: usize, sku: u32, count: i64, key: &str) -> Outcome {
        let body = json!({"count": count, "idempotencyKey": key});
        self.post(instance, &format!("/v1/stocks/{sku}/restock"), &body).await.0
    }

    async fn post(&self, instance: usize, path: &str, body: &Value) -> (Outcome, Value) {
        let url = format!("{}{path}", self.base_urls[instance]);
        let Ok(answer) = self.http.post(url).json(body).send().await else {
            return (Outcome::Unknown, Value::Null);
        };
        let status = answer.status();
        // A killed process may send half an answer.
        let Ok(answer) = answer.json::<Value>().await else {
            return (Outcome::Unknown, Value::Null);
        };
        if status.is_success() {
            (Outcome::Done, answer)
        } else if UNKNOWN.contains(&status) {
            (Outcome::Unknown, answer)
        } else {
            assert_eq!(
                answer["code"], FAILED_PRECONDITION,
                "{path} {body} answered {status} {answer}"
            );
            (Outcome::Refused, answer)
        }
    }
}
