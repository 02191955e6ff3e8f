//! The process itself: the common part of a service's binary, its environment, and its exit after
//! an unrecoverable error.

mod service;

pub use service::{Service, main};

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// Restarts this program in the same process, without the environment variables of `PostgreSQL`'s
/// tools (`PGOPTIONS`, `PGSSLMODE` and the like). They would change how we connect. Does nothing if
/// none is set. Runs before anything else.
///
/// # Errors
/// The program cannot be restarted.
fn drop_postgres_variables() -> io::Result<()> {
    let names: Vec<OsString> = env::vars_os().map(|(name, _)| name).filter(is_foreign).collect();
    if names.is_empty() {
        return Ok(());
    }
    let mut command = Command::new(env::current_exe()?);
    let mut arguments = env::args_os();
    if let Some(own_name) = arguments.next() {
        command.arg0(own_name);
    }
    command.args(arguments);
    for name in &names {
        command.env_remove(name);
    }
    // `exec` returns only if it fails.
    Err(command.exec())
}

fn is_foreign(name: &OsString) -> bool {
    name.as_encoded_bytes().starts_with(b"PG")
}

/// How long the last log lines of a process may take.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Ends the process after an error that it cannot recover from. Its supervisor restarts it.
pub fn end(reason: &str) -> ! {
    let text = reason.to_owned();
    // On a separate thread, because a blocked log or standard error must not keep the process
    // alive.
    let spoken = std::thread::Builder::new().spawn(move || {
        tracing::error!(reason = text, "exiting: the process cannot recover from this");
        // The log may no longer be written, so that the line above could be lost.
        let _ = writeln!(io::stderr(), "exiting: {text}");
    });
    if spoken.is_ok() {
        std::thread::sleep(LAST_WORDS);
    }
    std::process::exit(1)
}
