//! One of our own binaries as part of the stack.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::folders::Folders;
use super::process::Process;
use super::program::Program;
use crate::http;

/// Environment variables that are passed on to every service.
const HANDED_THROUGH: [&str; 4] = ["RUST_LOG", "RUST_BACKTRACE", "LOG_FORMAT", "CORE_DUMPS"];

/// A binary in the same folder as this one, which serves HTTP on `port`.
#[derive(Debug, Clone)]
pub struct Service {
    /// The name of the binary and of its log, which messages use too.
    pub name: &'static str,
    /// Its HTTP port.
    pub port: u16,
    /// Its settings. All others keep their defaults, which fit the stack.
    pub settings: Vec<(&'static str, String)>,
}

impl Service {
    /// Starts the service and waits until its /readyz answers 200.
    pub async fn start(&self, folders: &Folders) -> Result<Process> {
        let own = std::env::current_exe()?;
        let binary = own.parent().context("this program has no folder")?.join(self.name);
        if !binary.is_file() {
            bail!("{} is not built: run `make build`", binary.display());
        }
        let mut program = Program::new(self.name, binary, folders.log(self.name)).port(self.port);
        for (name, value) in &self.settings {
            program = program.env(name, value);
        }
        for (key, value) in std::env::vars_os() {
            let name = key.to_string_lossy();
            if HANDED_THROUGH.contains(&name.as_ref()) || name.starts_with("OTEL_") {
                program = program.env(&key, value);
            }
        }
        let mut process = program.start()?;
        let url = format!("http://127.0.0.1:{}/readyz", self.port);
        let client = http::client();
        let ready = async || {
            let response = client.get(&url).send().await?;
            let status = response.status();
            ensure!(status.is_success(), "{url} answered {status}: {}", response.text().await?);
            Ok(())
        };
        process.until_ready(Duration::from_mins(1), ready).await?;
        Ok(process)
    }
}
