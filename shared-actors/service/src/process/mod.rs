//! The process itself: the common part of a service's binary, and its environment.

mod service;

pub use service::{Service, main};

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

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
