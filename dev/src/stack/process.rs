//! A running process of the stack: how to watch it and how to stop it. Nothing here depends on what
//! it runs.

use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
pub use nix::sys::signal::Signal;
use nix::sys::signal::{kill, killpg};
use nix::unistd::Pid;
use tokio::net::TcpStream;

use super::log_end::log_end;
use super::program::Program;

/// How many lines of the log an error message shows.
const LOG_LINES: usize = 20;

/// A running process. Dropping it stops it with its stop signal, or with SIGKILL once the grace
/// period is over.
#[derive(Debug)]
pub struct Process {
    program: Program,
    child: Child,
    exit: Option<ExitStatus>,
}

impl Process {
    pub(super) fn new(program: Program, child: Child) -> Self {
        Self { program, child, exit: None }
    }

    /// Starts the program again after it has ended, and waits until it listens on its port. Its
    /// output is appended to the log.
    pub async fn restart(&mut self, deadline: Duration) -> Result<()> {
        self.child = self.program.start_again()?;
        self.exit = None;
        let Some(port) = self.program.port else { return Ok(()) };
        let listens =
            async || Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map(drop)?);
        self.until_ready(deadline, listens).await
    }

    /// The name that people read in messages.
    pub fn name(&self) -> &str {
        &self.program.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file that receives its output.
    pub fn log_file(&self) -> &Path {
        &self.program.log
    }

    /// Its exit status, once it has ended.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        if self.exit.is_none() {
            self.exit = self
                .child
                .try_wait()
                .with_context(|| format!("{}: cannot be waited for", self.name()))?;
        }
        Ok(self.exit)
    }

    /// Sends a signal, unless the process has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.exit_status()?.is_none() {
            kill(self.pid()?, signal)
                .with_context(|| format!("{}: cannot send {signal}", self.name()))?;
        }
        Ok(())
    }

    /// Stops the process and waits for it. Kills a process that does not end within its grace
    /// period.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(self.program.stop_signal)?;
        let asked = Instant::now();
        while asked.elapsed() < self.program.grace {
            if let Some(status) = self.exit_status()? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill()
    }

    /// Kills the process and its process group at once.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.exit_status()? {
            return Ok(status);
        }
        killpg(self.pid()?, Signal::SIGKILL)
            .with_context(|| format!("{}: cannot be killed", self.name()))?;
        let status = self.child.wait()?;
        self.exit = Some(status);
        Ok(status)
    }

    /// Waits until `probe` succeeds. Fails with the end of the log if the process ends, or if
    /// `deadline` passes first.
    pub async fn until_ready<F>(&mut self, deadline: Duration, mut probe: F) -> Result<()>
    where
        F: AsyncFnMut() -> Result<()>,
    {
        let started = Instant::now();
        loop {
            if let Some(status) = self.exit_status()? {
                return Err(
                    self.failure(&format!("ended before it was ready ({})", describe(status)))
                );
            }
            let reason = match tokio::time::timeout(Duration::from_secs(5), probe()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => "no answer within 5 s".to_owned(),
            };
            if started.elapsed() > deadline {
                let waited = deadline.as_secs();
                return Err(self.failure(&format!("was not ready within {waited} s: {reason}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// An error about this process, with the end of its log.
    pub fn failure(&self, what: &str) -> anyhow::Error {
        let end = log_end(self.log_file(), LOG_LINES);
        let log = self.log_file().display();
        if end.is_empty() {
            return anyhow!("{} {what}; its log {log} is empty", self.name());
        }
        anyhow!("{} {what}. The end of {log}:\n{end}", self.name())
    }

    fn pid(&self) -> Result<Pid> {
        let pid = i32::try_from(self.child.id())?;
        if pid <= 1 {
            bail!("{}: {pid} is not a process id", self.name());
        }
        Ok(Pid::from_raw(pid))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("{error:#}");
        }
    }
}

/// Describes in words how a process ended.
pub fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}
