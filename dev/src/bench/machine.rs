//! What the measurements ran on.

use std::fs;

use procfs::{CpuInfo, Current, Meminfo};
use serde::Serialize;

/// Facts about this machine.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub cores: usize,
    pub processor: String,
    pub memory_gib: u64,
    pub system: String,
}

impl Machine {
    /// Reads the facts. What cannot be read is "unknown" or 0.
    pub fn read() -> Self {
        let cpu = CpuInfo::current().ok();
        let model = cpu.as_ref().and_then(|cpu| cpu.model_name(0)).unwrap_or("unknown");
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            processor: model.to_owned(),
            memory_gib: Meminfo::current().map_or(0, |memory| memory.mem_total.div_ceil(1 << 30)),
            system: system.unwrap_or("unknown").trim_matches('"').to_owned(),
        }
    }
}
