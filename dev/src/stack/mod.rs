//! The real servers and services, started natively on this machine.
//!
//! Each server has its own module and uses its configuration file from `docker/`. Each started
//! server is a child process that ends when its value is dropped. Nothing here knows about
//! individual tests.

pub mod folders;
pub mod kafka;
pub mod keeper;
pub mod log_end;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod program;
pub mod prometheus;
pub mod redis;
pub mod report;
pub mod servers;
pub mod service;
pub mod shop;
pub mod signals;
pub mod test_run;
pub mod tether;
pub mod tools;
pub mod user;

use process::Process;

/// Stops processes in the reverse order of their start.
pub fn stop_in_reverse(processes: Vec<Process>) {
    for mut process in processes.into_iter().rev() {
        if let Err(error) = process.stop() {
            eprintln!("{error:#}");
        }
    }
}
