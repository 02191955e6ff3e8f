//! The process itself: the environment that it starts with, and its end when something cannot be mended within it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::{env, io};

/// Starts this program again, in this very process, without the variables of PostgreSQL's own tools (`PGOPTIONS`,
/// `PGSSLMODE` and the like), which would change how we connect. Does nothing where there are none. To be called before
/// anything else.
///
/// # Errors
/// The program cannot be started again.
pub fn drop_postgres_variables() -> io::Result<()> {
    let names: Vec<OsString> = env::vars_os().map(|(name, _)| name).filter(|name| is_foreign(name)).collect();
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

/// Ends the process because of something that it cannot mend by itself. Whoever supervises it starts it again.
pub fn end(reason: &str) -> ! {
    tracing::error!(reason, "the process ends: it cannot mend this by itself");
    // The line above may still be on its way to a log that nobody writes any more.
    eprintln!("ends: {reason}");
    std::process::exit(1)
}
