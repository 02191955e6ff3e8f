//! The CPU time and the memory of processes and their children, read from /proc.

use std::collections::HashMap;

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use procfs::net::TcpState;
use procfs::process::{FDTarget, Process, all_processes};
use procfs::{page_size, ticks_per_second};

/// Named groups of processes: each is one process with all its children.
#[derive(Debug, Default)]
pub struct Meter {
    roots: Vec<(&'static str, i32)>,
}

/// What a group has used: CPU seconds since its start, and the resident memory of its first process
/// in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    pub cpu_seconds: f64,
    pub resident_bytes: u64,
}

impl Meter {
    /// Adds a process that listens on a port of localhost.
    pub fn add_server(&mut self, name: &'static str, host_port: &str) -> Result<()> {
        let port = host_port.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let id = listener(port.with_context(|| format!("{host_port} is not host:port"))?)?;
        self.roots.push((name, id));
        Ok(())
    }

    /// Adds a process that this one has started.
    pub fn add(&mut self, name: &'static str, id: u32) -> Result<()> {
        self.roots.push((name, i32::try_from(id)?));
        Ok(())
    }

    /// What each group has used so far, in the order in which they were added.
    pub fn read(&self) -> Result<Vec<(&'static str, Usage)>> {
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        let mut used = HashMap::new();
        let ticks = ticks_per_second();
        for stat in all_processes()?.filter_map(|process| process.ok()?.stat().ok()) {
            // The second half is of children that have ended.
            let own = stat.utime + stat.stime;
            let ended = u64::try_from(stat.cutime + stat.cstime)?;
            let usage = Usage {
                cpu_seconds: (own + ended) as f64 / ticks as f64,
                resident_bytes: stat.rss * page_size(),
            };
            children.entry(stat.ppid).or_default().push(stat.pid);
            used.insert(stat.pid, usage);
        }
        let total = |root: i32| {
            let mut sum = used.get(&root).copied().unwrap_or_default();
            let mut left = children.get(&root).cloned().unwrap_or_default();
            while let Some(child) = left.pop() {
                sum.cpu_seconds += used.get(&child).map_or(0.0, |usage| usage.cpu_seconds);
                left.extend(children.get(&child).into_iter().flatten());
            }
            sum
        };
        Ok(self.roots.iter().map(|(name, root)| (*name, total(*root))).collect())
    }
}

/// The CPU seconds of all processes that this one has started and that have ended.
pub fn of_ended_children() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let microseconds =
        usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(microseconds as f64 / 1e6)
}

/// The process that listens on a port. Of several that share the socket, the oldest.
fn listener(port: u16) -> Result<i32> {
    let mut entries = procfs::net::tcp()?;
    entries.extend(procfs::net::tcp6()?);
    let listens = |inode: u64| {
        entries.iter().any(|entry| {
            entry.inode == inode
                && entry.state == TcpState::Listen
                && entry.local_address.port() == port
        })
    };
    let holds = |process: &Process| {
        let Ok(mut files) = process.fd() else { return false };
        files.any(|file| matches!(file, Ok(file) if matches!(file.target, FDTarget::Socket(inode) if listens(inode))))
    };
    let holders = all_processes()?.filter_map(Result::ok).filter(holds);
    let oldest =
        holders.min_by_key(|process| process.stat().map_or(u64::MAX, |stat| stat.starttime));
    oldest.map(|process| process.pid).with_context(|| format!("no process listens on port {port}"))
}
