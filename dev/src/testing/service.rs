//! One of our services as a process, exactly as it ships.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::ensure;
use tempfile::TempDir;

use super::Servers;
use crate::http;
use crate::stack::log_end::log_end;
use crate::stack::process::{Process, Signal};
use crate::stack::program::Program;

/// How long a service may take to become ready. It first migrates its databases, on a machine that
/// is busy with tests.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// A service must end within 20 s of SIGTERM. A busy machine gets a little longer.
const ENDS_WITHIN: Duration = Duration::from_secs(25);

/// A running service. Dropping it kills it. If the test fails, the end of the service's log is
/// printed.
#[derive(Debug)]
pub struct ServiceProcess {
    binary: String,
    env: Vec<(OsString, OsString)>,
    process: Process,
    logs: TempDir,
    starts: usize,
}

impl ServiceProcess {
    /// Starts a built service with only `env` in its environment, and waits until its /readyz
    /// answers 200. `env` must contain the HTTP port (`HTTP_PORT` or `HOST_PORT`).
    pub async fn start<K: AsRef<OsStr>, V: AsRef<OsStr>>(binary: &str, env: &[(K, V)]) -> Self {
        let mut service = Self::launch(binary, env);
        service.ready().await;
        service
    }

    /// Starts a built service like [`ServiceProcess::start`], but does not wait for it.
    pub fn launch<K: AsRef<OsStr>, V: AsRef<OsStr>>(binary: &str, env: &[(K, V)]) -> Self {
        let env: Vec<(OsString, OsString)> = env
            .iter()
            .map(|(key, value)| (key.as_ref().to_owned(), value.as_ref().to_owned()))
            .collect();
        let logs =
            tempfile::Builder::new().prefix("shop-log-").tempdir().expect("a folder for the log");
        let process = run(binary, &env, logs.path().join("1.log"));
        Self { binary: binary.to_owned(), env, process, logs, starts: 1 }
    }

    /// Waits until /readyz answers 200.
    pub async fn ready(&mut self) {
        let url = format!("{}/readyz", self.operations_url());
        let client = http::client();
        let probe = async || {
            let status = client.get(&url).send().await?.status();
            ensure!(status.is_success(), "{url} answered {status}");
            Ok(())
        };
        if let Err(error) = self.process.until_ready(READY_WITHIN, probe).await {
            panic!("{error:#}");
        }
    }

    /// The base URL of the service: `http://127.0.0.1:<port>` with its HTTP port, or `https` if it
    /// has a certificate.
    pub fn base_url(&self) -> String {
        let address = self.setting("HTTP_PORT").or_else(|| self.setting("HOST_PORT"));
        let address = address.expect("HTTP_PORT or HOST_PORT is set for the service");
        let scheme = if self.setting("TLS_CERT_FILE").is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", port(&address))
    }

    /// The base URL of the operational routes.
    pub fn operations_url(&self) -> String {
        match self.setting("OPERATIONS_HOST_PORT") {
            Some(address) => format!("http://127.0.0.1:{}", port(&address)),
            None => self.base_url(),
        }
    }

    /// The last value of a setting.
    fn setting(&self, name: &str) -> Option<String> {
        let found = self.env.iter().rfind(|(key, _)| key == name);
        found.map(|(_, value)| value.to_string_lossy().into_owned())
    }

    /// Kills the service if it still runs, starts it again with the same environment, and waits
    /// until it is ready.
    pub async fn restart(&mut self) {
        self.kill9();
        self.starts += 1;
        self.process = run(&self.binary, &self.env, self.log_file(self.starts));
        self.ready().await;
    }

    /// Kills the service with SIGKILL and waits until it has ended.
    pub fn kill9(&mut self) {
        self.process.kill().expect("the service can be killed");
    }

    /// The exit status, or `None` while the service runs.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.process.exit_status().expect("the service can be waited for")
    }

    /// Sends SIGTERM, waits for the service to end, and returns its exit status.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        let asked = Instant::now();
        loop {
            if let Some(status) = self.exited() {
                return status;
            }
            assert!(
                asked.elapsed() <= ENDS_WITHIN,
                "{:#}",
                self.process.failure("did not end after SIGTERM")
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends a signal. SIGSTOP freezes the service; SIGCONT resumes it.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal).expect("the service can be signalled");
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Everything that the service has logged so far, over all its starts.
    pub fn log(&self) -> String {
        let read = |start| fs::read(self.log_file(start)).unwrap_or_default();
        (1..=self.starts).map(|start| String::from_utf8_lossy(&read(start)).into_owned()).collect()
    }

    fn log_file(&self, start: usize) -> PathBuf {
        self.logs.path().join(format!("{start}.log"))
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        if std::thread::panicking() {
            let end = log_end(self.process.log_file(), 40);
            eprintln!("the end of the log of {}:\n{end}", self.binary);
        }
    }
}

/// The port of an address that may be only a port.
fn port(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(_, port)| port)
}

fn run(binary: &str, env: &[(OsString, OsString)], log: PathBuf) -> Process {
    let path = Servers::from_env().bin_dir.join(binary);
    assert!(path.is_file(), "{} is not built: `cargo build --workspace --bins`", path.display());
    let mut program = Program::new(binary, path, log).env("RUST_BACKTRACE", "1");
    for (key, value) in env {
        program = program.env(key, value);
    }
    program.start().unwrap_or_else(|error| panic!("{error:#}"))
}
