//! The exit of a process that cannot recover.

use std::io::{self, Write};
use std::time::Duration;

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
