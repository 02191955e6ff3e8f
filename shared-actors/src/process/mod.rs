//! The process itself: the frame of a service's binary, the environment that it starts with, and its end when something
//! cannot be repaired within it.

mod service;

pub use service::{Service, main};

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// Starts this program again, in this very process, without the variables of `PostgreSQL`'s own tools (`PGOPTIONS`,
/// `PGSSLMODE` and the like), which would change how we connect. Does nothing where there are none. Runs before anything else.
///
/// # Errors
/// The program cannot be started again.
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
    // This returns only when it fails.
    Err(command.exec())
}

fn is_foreign(name: &OsString) -> bool {
    name.as_encoded_bytes().starts_with(b"PG")
}

/// How long the last words of a process may take.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Ends the process because of something that it cannot repair itself. Its supervisor starts it again.
pub fn end(reason: &str) -> ! {
    let text = reason.to_owned();
    // On a thread of its own: a log or a standard error that nobody reads must not keep the process alive.
    let spoken = std::thread::Builder::new().spawn(move || {
        tracing::error!(reason = text, "exiting: the process cannot recover from this");
        // The line above may still be on its way to a log that nobody writes any more.
        let _ = writeln!(io::stderr(), "ends: {text}");
    });
    if spoken.is_ok() {
        std::thread::sleep(LAST_WORDS);
    }
    std::process::exit(1)
}
