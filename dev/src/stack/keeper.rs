//! Keeps processes running: a process that ends is started again.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use futures::future::select_all;

use super::process::{Process, describe};
use super::report::step;

/// How often each process is checked.
const PERIOD: Duration = Duration::from_millis(200);
/// A process that ends sooner after its start has failed.
const SHORT_LIFE: Duration = Duration::from_secs(10);
/// How many times in a row a process may fail.
const MAX_FAILURES: u32 = 10;
/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a restarted process may take until it listens on its port.
const LISTENS_WITHIN: Duration = Duration::from_secs(30);

/// Restarts each process that ends, and prints that it does. Returns only if a process keeps
/// failing: an error that names it and shows the end of its log.
///
/// # Panics
/// Panics if there are no processes.
pub async fn keep_running(processes: &mut [Process]) -> Error {
    select_all(processes.iter_mut().map(|process| Box::pin(keep(process)))).await.0
}

async fn keep(process: &mut Process) -> Error {
    let mut failures = 0;
    loop {
        let started = Instant::now();
        let status = match ended(process).await {
            Ok(status) => status,
            Err(error) => return error,
        };
        failures = if started.elapsed() < SHORT_LIFE { failures + 1 } else { 0 };
        if failures > MAX_FAILURES {
            return process
                .failure(&format!("has failed {failures} times in a row ({})", describe(status)));
        }
        println!("  ! {} has ended ({}) and is restarted", process.name(), describe(status));
        if failures > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let what = format!("{} runs again", process.name());
        // If this fails, the process has ended again, or it is slow and keeps starting.
        let _ = step(&what, process.restart(LISTENS_WITHIN)).await;
    }
}

async fn ended(process: &mut Process) -> Result<ExitStatus> {
    loop {
        if let Some(status) = process.exit_status()? {
            return Ok(status);
        }
        tokio::time::sleep(PERIOD).await;
    }
}
