//! The load generators: h2load for gRPC, wrk for HTTP, pgbench for what `PostgreSQL` alone can do.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use super::summary::percentile;
use crate::testing::{Database, PASSWORD, USER};

/// What a load generator has measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    /// How many answers arrived, of any kind.
    pub answers: u64,
    /// How many requests failed in the transport.
    pub failed: u64,
    pub seconds: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Load {
    pub fn per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.answers as f64 / self.seconds } else { 0.0 }
    }
}

/// A gRPC method of the service on a port of localhost.
#[derive(Debug, Clone, Copy)]
pub struct Method<'a> {
    pub port: u16,
    pub path: &'a str,
    /// How many calls to send per second, over all connections. `None` for as many as possible.
    pub per_second: Option<f64>,
    /// The caller's token.
    pub token: Option<&'a str>,
}

/// Calls a method with each of the messages over a connection of its own, for `lasting`. Together
/// the connections keep `in_flight` calls in flight.
pub async fn h2load(
    method: Method<'_>,
    messages: &[Vec<u8>],
    in_flight: usize,
    lasting: Duration,
) -> Result<Load> {
    let folder = tempfile::tempdir()?;
    let url = format!("http://127.0.0.1:{}{}", method.port, method.path);
    let connections = messages.len().min(in_flight);
    let runs = messages.iter().take(connections).enumerate().map(|(index, message)| {
        let (body, log) = (
            folder.path().join(format!("{index}.body")),
            folder.path().join(format!("{index}.log")),
        );
        let rate = method.per_second.map(|rate| rate / connections as f64);
        let in_flight = in_flight / connections;
        h2load_once(url.clone(), method.token, frame(message), body, log, in_flight, rate, lasting)
    });
    let runs = futures::future::try_join_all(runs).await?;
    let mut latencies: Vec<u64> =
        runs.iter().flat_map(|run| run.latencies.iter().copied()).collect();
    latencies.sort_unstable();
    Ok(Load {
        answers: latencies.len() as u64,
        failed: runs.iter().map(|run| run.failed).sum(),
        seconds: lasting.as_secs_f64(),
        p50_ms: percentile(&latencies, 0.5) / 1e3,
        p99_ms: percentile(&latencies, 0.99) / 1e3,
    })
}

struct Run {
    /// In microseconds.
    latencies: Vec<u64>,
    failed: u64,
}

#[expect(clippy::too_many_arguments, reason = "called once")]
async fn h2load_once(
    url: String,
    token: Option<&str>,
    body: Vec<u8>,
    body_file: PathBuf,
    log: PathBuf,
    in_flight: usize,
    per_second: Option<f64>,
    lasting: Duration,
) -> Result<Run> {
    std::fs::write(&body_file, body)?;
    let mut command = Command::new("h2load");
    command
        .args(["--clients", "1", "--threads", "1", "--max-concurrent-streams"])
        .arg(in_flight.to_string())
        .arg("--duration")
        .arg(lasting.as_secs().to_string())
        .args(["--header", "content-type: application/grpc", "--header", "te: trailers"])
        .arg("--data")
        .arg(&body_file)
        .arg(format!("--log-file={}", log.display()));
    if let Some(token) = token {
        command.args(["--header", &format!("authorization: Bearer {token}")]);
    }
    if let Some(rate) = per_second {
        command.arg(format!("--rps={:.0}", rate.max(1.0)));
    }
    let output = output_of(command.arg(url)).await?;
    // The line is: requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout
    let requests = output.lines().find_map(|line| line.strip_prefix("requests: "));
    let failed = requests
        .into_iter()
        .flat_map(|line| line.split(", "))
        .find_map(|part| part.strip_suffix(" failed"));
    let failed = failed.with_context(|| format!("h2load printed: {output}"))?.parse()?;
    let lines = std::fs::read_to_string(&log)?;
    let latency = |line: &str| line.split('\t').nth(2)?.parse().ok();
    Ok(Run { latencies: lines.lines().filter_map(latency).collect(), failed })
}

/// A gRPC message: a byte that says "not compressed", the length, the message.
fn frame(message: &[u8]) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, reason = "our messages are small")]
    let length = (message.len() as u32).to_be_bytes();
    [&[0], &length[..], message].concat()
}

/// Sends HTTP requests over `connections` connections, as the wrk script says. The script prints
/// what this reads.
pub async fn wrk(
    script: &Path,
    url: &str,
    args: &[String],
    connections: u32,
    lasting: Duration,
) -> Result<Load> {
    let mut command = Command::new("wrk");
    command
        .args(["--threads", "1", "--timeout", "10s", "--connections"])
        .arg(connections.to_string())
        .arg("--duration")
        .arg(format!("{}s", lasting.as_secs()))
        .arg("--script")
        .arg(script)
        .arg(url)
        .arg("--")
        .args(args);
    let output = output_of(&mut command).await?;
    let line = output.lines().find(|line| line.starts_with("answers="));
    let line = line.with_context(|| format!("wrk printed: {output}"))?;
    let value = |name: &str| -> Result<f64> {
        let part = line.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        Ok(part.with_context(|| format!("{name} is missing in: {line}"))?.parse()?)
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts")]
    let count = |name: &str| value(name).map(|count| count as u64);
    Ok(Load {
        answers: count("answers")?,
        failed: count("failed")?,
        seconds: value("seconds")?,
        p50_ms: value("p50_ms")?,
        p99_ms: value("p99_ms")?,
    })
}

/// Runs a pgbench script on a database, with prepared statements. `variables` are its variables.
pub async fn pgbench(
    database: &Database,
    script: &Path,
    variables: &[(&str, u64)],
    clients: u32,
    lasting: Duration,
) -> Result<Load> {
    let (host, port) = database.host_port.rsplit_once(':').context("the address has a port")?;
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("pgbench");
    command
        .env("PGPASSWORD", PASSWORD)
        .current_dir(folder.path())
        .args([
            "--no-vacuum",
            "--protocol",
            "prepared",
            "--log",
            "--log-prefix=pgbench",
            "--host",
            host,
        ])
        .args(["--port", port, "--username", USER, "--jobs"])
        .arg(clients.min(2).to_string())
        .arg("--client")
        .arg(clients.to_string())
        .arg("--time")
        .arg(lasting.as_secs().to_string())
        .arg("--file")
        .arg(script);
    for (name, value) in variables {
        command.arg("--define").arg(format!("{name}={value}"));
    }
    let output = output_of(command.arg(&database.name)).await?;
    ensure!(output.contains("tps ="), "pgbench printed: {output}");
    // The log's columns are: client, transaction, microseconds, script, second, microsecond.
    let mut latencies = Vec::new();
    for file in std::fs::read_dir(folder.path())? {
        let lines = std::fs::read_to_string(file?.path())?;
        latencies
            .extend(lines.lines().filter_map(|line| line.split(' ').nth(2)?.parse::<u64>().ok()));
    }
    latencies.sort_unstable();
    Ok(Load {
        answers: latencies.len() as u64,
        failed: 0,
        seconds: lasting.as_secs_f64(),
        p50_ms: percentile(&latencies, 0.5) / 1e3,
        p99_ms: percentile(&latencies, 0.99) / 1e3,
    })
}

/// What a program prints. It is killed if this is dropped.
async fn output_of(command: &mut Command) -> Result<String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command
        .output()
        .await
        .with_context(|| format!("cannot run {name}; `make setup` installs it"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {text}{errors}");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::frame;

    #[test]
    fn a_message_is_preceded_by_its_length() {
        assert_eq!(frame(&[7, 8]), [0, 0, 0, 0, 2, 7, 8]);
    }
}
