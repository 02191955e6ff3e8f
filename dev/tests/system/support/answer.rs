//! Calls over HTTP, and answers that say what was asked when they are not what was expected.

use dev::testing::http_client;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

/// A client of one HTTP port.
#[derive(Debug, Clone)]
pub struct Rest {
    base_url: String,
    client: Client,
}

impl Rest {
    /// A client of the service at `base_url`.
    pub fn new(base_url: String) -> Self {
        Self { base_url, client: http_client() }
    }

    /// A request that is still to be completed and sent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base_url))
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }

    /// POST of a JSON value.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_text(path, &body.to_string()).await
    }

    /// POST of a text that need not be JSON.
    pub async fn post_text(&self, path: &str, body: &str) -> Answer {
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/json");
        let mut answer = Answer::of(request.body(body.to_owned())).await;
        let shown: String = body.chars().take(120).collect();
        answer.asked = format!("{} {shown}", answer.asked);
        answer
    }
}

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Answer {
    /// What was asked, for the reader of a failed test.
    pub asked: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Sends a request.
    pub async fn of(request: RequestBuilder) -> Self {
        Self::attempt(request).await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends a request that may remain without an answer.
    pub async fn attempt(request: RequestBuilder) -> reqwest::Result<Self> {
        let (client, request) = request.build_split();
        let request = request?;
        let asked = format!("{} {}", request.method(), request.url().path());
        let response = client.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { asked, status, headers, body: response.text().await? })
    }

    /// The body as JSON; fails unless the answer says that it is.
    #[track_caller]
    pub fn json(&self) -> Value {
        let content_type = self.header("content-type").unwrap_or_default();
        assert!(content_type.starts_with("application/json"), "{self:?} is of type {content_type:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Fails unless the answer is this one; returns it.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} answered {} {}", self.asked, self.status, self.body);
        self
    }

    /// Fails unless the answer is this one, or asks to come again later; returns it in the first case.
    #[track_caller]
    pub fn expect_unless_busy(self, status: u16) -> Option<Self> {
        let is_busy = matches!(self.status, 429 | 503 | 504);
        if is_busy { None } else { Some(self.expect(status)) }
    }

    /// Fails unless the answer has this status and this body.
    #[track_caller]
    pub fn expect_json(self, status: u16, body: &Value) {
        let answer = self.expect(status);
        assert_eq!(&answer.json(), body, "{}", answer.asked);
    }

    /// Fails unless the answer is an error of cart with this status and code.
    #[track_caller]
    pub fn expect_cart_error(self, status: u16, code: &str) {
        let answer = self.expect(status);
        let error = answer.json();
        let message = error["message"].as_str().unwrap_or_default();
        assert_eq!(error, json!({"code": code, "message": message}), "{}", answer.asked);
        assert!(!message.is_empty(), "{} answered no message", answer.asked);
    }

    /// Fails unless the answer is an error of the gateway with this status and gRPC code.
    #[track_caller]
    pub fn expect_gateway_error(self, status: u16, code: i32) {
        let answer = self.expect(status);
        let error = answer.json();
        let message = error["message"].as_str().unwrap_or_default();
        assert_eq!(error, json!({"code": code, "message": message, "details": []}), "{}", answer.asked);
        assert!(!message.is_empty(), "{} answered no message", answer.asked);
    }
}
