//! The process itself: the common part of a service's binary, and its environment.

mod service;

pub use service::{Service, main};

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use shared_actors::watchdog;

use crate::settings::Reader;

/// Reads `THREAD_TIMEOUT`: how long a thread may hang before the process exits.
pub fn thread_timeout(reader: &mut Reader) -> Duration {
    let timeout = reader.duration("THREAD_TIMEOUT", watchdog::TIMEOUT);
    if timeout < LEAST_THREAD_TIMEOUT {
        reader.reject("THREAD_TIMEOUT", "at least 1s");
    }
    timeout
}

/// Threads show that they are alive once per second.
const LEAST_THREAD_TIMEOUT: Duration = Duration::from_secs(1);

/// Restarts this program in the same process, without the environment variables that would change
/// how our libraries connect: those of `PostgreSQL`'s tools (`PGOPTIONS`, `PGSSLMODE` and the like)
/// and those that name a proxy. Does nothing if none is set. Runs before anything else.
///
/// # Errors
/// The program cannot be restarted.
fn drop_foreign_variables() -> io::Result<()> {
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

const PROXIES: [&[u8]; 4] = [b"HTTP_PROXY", b"HTTPS_PROXY", b"ALL_PROXY", b"NO_PROXY"];

fn is_foreign(name: &OsString) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b"PG") || PROXIES.iter().any(|proxy| name.eq_ignore_ascii_case(proxy))
}
