//! Runs one command, usually `cargo test`, on its own servers: free ports, a private folder,
//! nothing shared.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::folders::Folders;
use super::report::{headline, seconds};
use super::servers::{self, ServerPorts};
use super::signals::Interruption;
use super::stop_in_reverse;
use super::tether::{self, tied};

/// Starts the servers, runs the command with their addresses in its environment, and removes
/// everything. With `on_disk`, the servers keep their data on the disk, as in production. Returns
/// the command's exit status.
///
/// # Errors
/// If a server or the command cannot be started. Everything that was started is stopped again.
pub async fn run(
    command: &[OsString],
    on_disk: bool,
    interruption: &mut Interruption,
) -> Result<u8> {
    let started = Instant::now();
    let folders = if on_disk { Folders::for_a_measurement()? } else { Folders::for_a_test_run()? };
    let ports = ServerPorts::free()?;
    headline("Servers for the tests");
    let servers = tokio::select! {
        servers = Box::pin(servers::start(ports, &folders, true)) => servers?,
        signal = interruption.next() => return Ok(status_of_signal(signal)),
    };
    println!("  ready after {}\n", seconds(started.elapsed()));
    let outcome = run_command(command, ports, &folders, interruption).await;
    stop_in_reverse(servers);
    outcome
}

async fn run_command(
    command: &[OsString],
    ports: ServerPorts,
    folders: &Folders,
    interruption: &mut Interruption,
) -> Result<u8> {
    let (program, args) = command.split_first().context("no command was given")?;
    // The tests' temporary folders are removed together with the servers' data.
    let temporary = folders.create_data("tmp")?;
    let mut command = tied(program, Signal::SIGKILL);
    command.args(args).envs(environment(ports)?).env("TMPDIR", temporary).process_group(0);
    // `cargo run` sets these for this program. A nested cargo would see a changed build and rebuild
    // everything.
    for (key, _) in std::env::vars_os() {
        let set_by_cargo = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_NAME", "CARGO_CRATE_NAME"];
        if set_by_cargo.iter().any(|prefix| key.to_string_lossy().starts_with(prefix)) {
            command.env_remove(key);
        }
    }
    let mut child =
        tether::spawn(command).with_context(|| format!("cannot start {}", program.display()))?;
    let group = Pid::from_raw(i32::try_from(child.id())?);
    loop {
        if let Some(status) = child.try_wait()? {
            // Kill everything that the command left running in its process group.
            let _ = killpg(group, Signal::SIGKILL);
            return Ok(exit_code(status));
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
            signal = interruption.next() => {
                let _ = killpg(group, Signal::try_from(signal)?);
            }
        }
    }
}

fn environment(ports: ServerPorts) -> Result<Vec<(&'static str, OsString)>> {
    let local = |port: u16| OsString::from(format!("127.0.0.1:{port}"));
    let programs = std::env::current_exe()?
        .parent()
        .map(PathBuf::from)
        .context("this program has no folder")?;
    Ok(vec![
        ("SHOP_TEST_POSTGRES_0", local(ports.postgres_0)),
        ("SHOP_TEST_POSTGRES_REPLICA_0", local(ports.postgres_replica_0)),
        ("SHOP_TEST_POSTGRES_1", local(ports.postgres_1)),
        ("SHOP_TEST_REDIS", local(ports.redis)),
        ("SHOP_TEST_KAFKA", local(ports.kafka)),
        ("SHOP_TEST_BIN_DIR", programs.into_os_string()),
    ])
}

fn exit_code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(1),
        (None, Some(signal)) => status_of_signal(signal),
        (None, None) => 1,
    }
}

/// The exit status that a shell reports for a program that a signal ended.
fn status_of_signal(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(1)
}
