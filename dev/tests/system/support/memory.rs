//! How much memory a process uses.

use std::fs;

/// The largest amount of memory that a process has had in use so far, in kB.
pub fn peak_kb(process: u32) -> u64 {
    status_kb(process, "VmHWM:")
}

/// The memory that a process has in use, in kB.
pub fn resident_kb(process: u32) -> u64 {
    status_kb(process, "VmRSS:")
}

fn status_kb(process: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
