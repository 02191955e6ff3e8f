//! A Prometheus for one test, with the shipping configuration, and its tool.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use dev::stack::folders::Folders;
use dev::stack::process::Process;
use dev::stack::{prometheus, tools};
use dev::testing::http_client;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{Shop, free_port};

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus {
    pub base_url: String,
    _process: Process,
    _folders: Folders,
}

impl Prometheus {
    /// Starts a Prometheus that scrapes this shop.
    pub async fn start(shop: &Shop) -> Self {
        let folders = Folders::for_a_test_run().unwrap();
        let address = |base_url: String| base_url.replace("http://", "");
        let targets = [
            ("cart", address(shop.cart.process.base_url())),
            ("loms", address(shop.loms.process.base_url())),
            ("notifier", address(shop.notifier.process.base_url())),
        ];
        let port = free_port();
        let process = prometheus::start(port, &targets, &folders).await.unwrap();
        Self { base_url: format!("http://127.0.0.1:{port}"), _process: process, _folders: folders }
    }

    /// The series that a query returns, or the error text if Prometheus refuses the query.
    pub async fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let answer = self.get("/api/v1/query", &[("query", query)]).await;
        match answer["data"]["result"].as_array() {
            Some(series) => Ok(series.clone()),
            None => Err(answer.to_string()),
        }
    }

    /// An answer of the Prometheus API.
    pub async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let mut url = reqwest::Url::parse(&format!("{}{path}", self.base_url)).unwrap();
        url.query_pairs_mut().extend_pairs(parameters);
        let text = http_client().get(url).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error} in {text}"))
    }
}

/// Runs promtool with `input` in the folder of Prometheus' configuration. Returns its result and
/// its output.
pub async fn promtool(arguments: &[&str], input: &str) -> (Output, String) {
    let mut running = Command::new(tools::find("promtool").unwrap())
        .args(arguments)
        .current_dir(configuration())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    running.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = running.wait_with_output().await.unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output, said)
}

/// The folder of Prometheus' configuration.
pub fn configuration() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/prometheus")
}
