//! Servers that stand still: nothing of them answers, and the kernel still takes connections in their name.

use std::collections::BTreeSet;
use std::fs;
use std::mem::ManuallyDrop;

use dev::stack::process::{Process, Signal};
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// A server whose processes are stopped, all of them. Goes on when this value is dropped.
#[derive(Debug)]
pub struct Frozen {
    server: Pid,
    children: BTreeSet<Pid>,
}

impl Frozen {
    /// Stops one process of a server, by its number, and no other.
    pub fn freeze_part(process: i32) -> Self {
        let server = Pid::from_raw(process);
        kill(server, Signal::SIGSTOP).unwrap();
        Self { server, children: BTreeSet::new() }
    }

    /// Stops a server and each process that it has started.
    pub fn freeze(server: &Process) -> Self {
        let server = Pid::from_raw(i32::try_from(server.id()).unwrap());
        // First the one that makes the others, so that no more come.
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

/// Kills a server and each process that it has started, as a machine does that loses its power.
pub fn kill_all(mut server: Process) {
    let frozen = ManuallyDrop::new(Frozen::freeze(&server));
    for child in &frozen.children {
        signal(*child, Signal::SIGKILL);
    }
    // Their numbers are free from here on: nobody is to be woken by them.
    server.kill().unwrap();
}

/// A child that has ended meanwhile needs no signal: as long as its parent stands still, nobody else gets its number.
fn signal(process: Pid, signal: Signal) {
    let _ = kill(process, signal);
}

fn children(parent: Pid) -> BTreeSet<Pid> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter(|number| parent_of(*number) == Some(parent.as_raw())).map(Pid::from_raw).collect()
}

/// The second field behind the name, which stands in parentheses and may hold anything.
fn parent_of(process: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
