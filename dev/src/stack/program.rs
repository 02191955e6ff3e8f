//! A program to start, and how to start it. The running process is in `process`.
//!
//! Each process gets its own process group. The terminal's Ctrl-C therefore reaches only the stack,
//! which then stops its processes in order.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::process::{Process, describe};
use super::tether::{self, tied};
use super::user::ServerUser;

/// A program to start. Its environment contains only `PATH`, `HOME`, `LANG` and what `env` adds.
#[derive(Debug, Clone)]
pub struct Program {
    pub(super) name: String,
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    pub(super) log: PathBuf,
    user: Option<ServerUser>,
    pub(super) stop_signal: Signal,
    orphan_signal: Signal,
    pub(super) grace: Duration,
    pub(super) port: Option<u16>,
}

impl Program {
    /// A program whose output goes to the file `log`. Messages call it `name`.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            args: Vec::new(),
            env: Vec::new(),
            log: log.into(),
            user: None,
            stop_signal: Signal::SIGTERM,
            orphan_signal: Signal::SIGKILL,
            grace: Duration::from_secs(20),
            port: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(self, arg: impl AsRef<OsStr>) -> Self {
        self.args([arg])
    }

    /// Adds a variable to the environment.
    #[must_use]
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs the program as another user. `None` keeps the current user.
    #[must_use]
    pub fn user(mut self, user: Option<ServerUser>) -> Self {
        self.user = user;
        self
    }

    /// Sets the signal that asks the program to stop (default SIGTERM), and the one that the kernel
    /// sends if the stack dies (default SIGKILL).
    #[must_use]
    pub fn signals(mut self, stop: Signal, orphan: Signal) -> Self {
        self.stop_signal = stop;
        self.orphan_signal = orphan;
        self
    }

    /// Names the port of localhost that the program listens on once it works.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Starts the program with an empty log.
    pub fn start(&self) -> Result<Process> {
        if let Some(folder) = self.log.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let child = self.spawn(OpenOptions::new().create(true).write(true).truncate(true))?;
        Ok(Process::new(self.clone(), child))
    }

    /// Starts the program again. Its output is appended to the log.
    pub(super) fn start_again(&self) -> Result<Child> {
        self.spawn(OpenOptions::new().create(true).append(true))
    }

    fn spawn(&self, open: &OpenOptions) -> Result<Child> {
        let log =
            open.open(&self.log).with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        tether::spawn(command)
            .with_context(|| format!("{}: cannot start {}", self.name, self.path.display()))
    }

    /// Runs the program to its end. Fails if it does not succeed within `deadline`.
    pub async fn run(&self, deadline: Duration) -> Result<()> {
        let started = Instant::now();
        let mut process = self.start()?;
        loop {
            if let Some(status) = process.exit_status()? {
                if status.success() {
                    return Ok(());
                }
                return Err(process.failure(&format!("failed ({})", describe(status))));
            }
            if started.elapsed() > deadline {
                return Err(
                    process.failure(&format!("did not end within {} s", deadline.as_secs()))
                );
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn command(&self) -> Command {
        let mut command = tied(&self.path, self.orphan_signal);
        command.args(&self.args).env_clear().env("LANG", "C.UTF-8");
        for inherited in ["PATH", "HOME"] {
            if let Some(value) = std::env::var_os(inherited) {
                command.env(inherited, value);
            }
        }
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        if let Some(user) = &self.user {
            command.uid(user.uid).gid(user.gid).current_dir("/");
        }
        command
    }
}
