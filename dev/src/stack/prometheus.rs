//! Prometheus, with the configuration from docker/prometheus.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::folders::Folders;
use super::process::Process;
use super::program::Program;
use super::tools;
use crate::http;

/// Starts Prometheus on `port` of localhost and waits until it answers. `targets` maps the job of
/// each service to its `host:port`.
pub async fn start(port: u16, targets: &[(&str, String)], folders: &Folders) -> Result<Process> {
    let folder = folders.create_data("prometheus")?;
    let configuration = folder.join("configuration");
    if configuration.exists() {
        fs::remove_dir_all(&configuration)?;
    }
    fs::create_dir_all(&configuration)?;
    let source = folders.root().join("docker/prometheus");
    let entries =
        fs::read_dir(&source).with_context(|| format!("cannot read {}", source.display()))?;
    for entry in entries {
        let file = entry?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), configuration.join(file.file_name()))?;
        }
    }
    let group =
        |(job, address): &(&str, String)| json!({"labels": {"job": job}, "targets": [address]});
    // JSON is also valid YAML.
    let groups = Value::Array(targets.iter().map(group).collect());
    fs::write(configuration.join("targets.yml"), groups.to_string())?;
    let mut config_file = std::ffi::OsString::from("--config.file=");
    config_file.push(configuration.join("prometheus.yml"));
    let mut storage = std::ffi::OsString::from("--storage.tsdb.path=");
    storage.push(folder.join("data"));
    let mut process =
        Program::new("Prometheus", tools::find("prometheus")?, folders.log("prometheus"))
            .arg(config_file)
            .arg(storage)
            .arg("--storage.tsdb.retention.time=7d")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .port(port)
            .start()?;
    let url = format!("http://127.0.0.1:{port}/-/ready");
    let ready = async || {
        let status = http::client().get(&url).send().await?.status();
        ensure!(status.is_success(), "{url} answered {status}");
        Ok(())
    };
    process.until_ready(Duration::from_secs(30), ready).await?;
    Ok(process)
}
