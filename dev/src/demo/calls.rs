//! HTTP calls that print each request and its response.

use std::fmt::Write;

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method};
use serde_json::Value;

/// Calls the shop as a customer would and prints each call with its answer.
#[derive(Debug)]
pub struct Calls(Client);

impl Calls {
    pub fn new() -> Self {
        Self(crate::http::client())
    }

    /// Sends a GET. A response without a success status is an error.
    pub async fn get(&self, url: &str) -> Result<Value> {
        self.call(Method::GET, url, None).await
    }

    /// Sends a POST. A response without a success status is an error.
    pub async fn post(&self, url: &str, body: Value) -> Result<Value> {
        self.call(Method::POST, url, Some(body)).await
    }

    async fn call(&self, method: Method, url: &str, body: Option<Value>) -> Result<Value> {
        let mut shown = format!("{method} {url}");
        let mut request = self.0.request(method, url);
        if let Some(body) = body {
            write!(shown, " {body}")?;
            request = request.json(&body);
        }
        println!("    {shown}");
        let response = request.send().await.with_context(|| format!("{shown} was not answered"))?;
        let status = response.status();
        let text = response.text().await?;
        println!("      {} {text}", status.as_u16());
        if !status.is_success() {
            bail!("{shown} answered {status}: {text}");
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text)
            .with_context(|| format!("{shown} did not answer with JSON: {text}"))
    }
}
