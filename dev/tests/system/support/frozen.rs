//! Frozen servers: they answer nothing, but the kernel still accepts connections for them.

use std::collections::BTreeSet;
use std::fs;
use std::mem::ManuallyDrop;

use dev::stack::process::{Process, Signal};
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// A server with all its processes stopped. They resume when this value is dropped.
#[derive(Debug)]
pub struct Frozen {
    server: Pid,
    children: BTreeSet<Pid>,
}

impl Frozen {
    /// Stops only one process of a server, given its pid.
    pub fn freeze_part(process: i32) -> Self {
        let server = Pid::from_raw(process);
        kill(server, Signal::SIGSTOP).unwrap();
        Self { server, children: BTreeSet::new() }
    }

    /// Stops a server and each of its child processes.
    pub fn freeze(server: &Process) -> Self {
        let server = Pid::from_raw(i32::try_from(server.id()).unwrap());
        // Stop the parent first, so that it creates no more children.
        kill(server, Signal::SIGSTOP).unwrap();
        let children = children(server);
        for child in &children {
            signal(*child, Signal::SIGSTOP);
        }
        Self { server, children }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        for process in self.children.iter().chain([&self.server]) {
            signal(*process, Signal::SIGCONT);
        }
    }
}

/// Kills a server and each of its child processes, as a power failure would.
pub fn kill_all(mut server: Process) {
    let frozen = ManuallyDrop::new(Frozen::freeze(&server));
    for child in &frozen.children {
        signal(*child, Signal::SIGKILL);
    }
    // The pids may be reused from here on, so no SIGCONT may be sent to them.
    server.kill().unwrap();
}

/// Sends a signal and ignores errors: a child that has ended needs none. Its pid is not reused
/// while its parent is stopped.
fn signal(process: Pid, signal: Signal) {
    let _ = kill(process, signal);
}

fn children(parent: Pid) -> BTreeSet<Pid> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter(|number| parent_of(*number) == Some(parent.as_raw()))
        .map(Pid::from_raw)
        .collect()
}

/// The parent's pid: the second field after the name, which is in parentheses and may contain any
/// character.
fn parent_of(process: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
