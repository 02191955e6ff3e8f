//! HTTP calls, and answers that report their request if they are not as expected.

use dev::testing::{Authority, http_client};
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

    /// A client that trusts only `authority`.
    pub fn trusting(authority: &Authority, base_url: String) -> Self {
        let ca = std::fs::read(authority.file()).unwrap();
        let ca = reqwest::Certificate::from_pem(&ca).unwrap();
        let client = Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap();
        Self { base_url, client }
    }

    /// A request to complete and send.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base_url))
    }

    /// Sends a GET.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    /// Sends a DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }

    /// Sends a POST with a JSON value.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_text(path, &body.to_string()).await
    }

    /// Sends a POST with a text that need not be JSON, as `application/json`.
    pub async fn post_text(&self, path: &str, body: &str) -> Answer {
        let request = self.request(Method::POST, path).header(CONTENT_TYPE, "application/json");
        let mut answer = Answer::of(request.body(body.to_owned())).await;
        let shown: String = body.chars().take(120).collect();
        answer.asked = format!("{} {shown}", answer.asked);
        answer
    }
}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    /// The request, for failure messages.
    pub asked: String,
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Sends a request. Fails if it is not answered.
    pub async fn of(request: RequestBuilder) -> Self {
        Self::attempt(request).await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends a request that may remain unanswered.
    pub async fn attempt(request: RequestBuilder) -> reqwest::Result<Self> {
        let (client, request) = request.build_split();
        let request = request?;
        let asked = format!("{} {}", request.method(), request.url().path());
        let response = client.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { asked, status, headers, body: response.text().await? })
    }

    /// The body as JSON. Fails unless the content type is JSON, too.
    #[track_caller]
    pub fn json(&self) -> Value {
        let content_type = self.header("content-type").unwrap_or_default();
        assert!(
            content_type.starts_with("application/json"),
            "{self:?} is of type {content_type:?}"
        );
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The value of a header, if it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Fails unless the answer has this status. Returns the answer.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{} answered {} {}", self.asked, self.status, self.body);
        self
    }

    /// Returns the answer if it has this status, and `None` if the service is too busy. Fails on
    /// any other answer.
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
        let mut expected = json!({"code": code, "message": message});
        if let Some(details) = error.get("details") {
            assert_eq!(code, "FAILED_PRECONDITION", "{}", answer.asked);
            expected["details"] = details.clone();
        }
        assert_eq!(error, expected, "{}", answer.asked);
        assert!(!message.is_empty(), "{} answered no message", answer.asked);
    }

    /// Fails unless the answer is an error of the gateway with this status and gRPC code.
    #[track_caller]
    pub fn expect_gateway_error(self, status: u16, code: i32) {
        let answer = self.expect(status);
        let error = answer.json();
        let message = error["message"].as_str().unwrap_or_default();
        assert_eq!(
            error,
            json!({"code": code, "message": message, "details": []}),
            "{}",
            answer.asked
        );
        assert!(!message.is_empty(), "{} answered no message", answer.asked);
    }
}
