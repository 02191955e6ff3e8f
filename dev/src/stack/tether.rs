//! Ties child processes to this one: if this process is killed, the kernel ends them.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{OnceLock, mpsc};

use nix::sys::signal::Signal;

use super::tools;

/// A command for `program` whose process receives `orphan_signal` when this process dies. Without
/// `setpriv` on this machine it is a plain command.
pub fn tied(program: impl AsRef<OsStr>, orphan_signal: Signal) -> Command {
    let Some(setpriv) = setpriv() else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    let signal = orphan_signal.as_str().trim_start_matches("SIG");
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    command
}

fn setpriv() -> Option<&'static Path> {
    static SETPRIV: OnceLock<Option<PathBuf>> = OnceLock::new();
    SETPRIV.get_or_init(|| tools::find("setpriv").ok()).as_deref()
}

/// Starts a command that [`tied`] made.
///
/// The kernel's parent-death signal is tied to the thread that started the child, not to the
/// process. One thread that lives as long as the process therefore starts all children.
pub fn spawn(command: Command) -> io::Result<Child> {
    type Request = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Request>> = OnceLock::new();
    let thread = SPAWNER.get_or_init(|| {
        let (requests, inbox) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                if let Err(mpsc::SendError(Ok(mut unwanted))) = answer.send(command.spawn()) {
                    let _ = unwanted.kill();
                    let _ = unwanted.wait();
                }
            }
        });
        requests
    });
    let (answer, outcome) = mpsc::channel();
    thread.send((command, answer)).map_err(io::Error::other)?;
    outcome.recv().map_err(io::Error::other)?
}
