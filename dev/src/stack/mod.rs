//! The real servers and services, started natively on this machine.
//!
//! Each server has a module of its own and runs with its configuration file of `docker/`. What is started here is a
//! child process that ends with the value that stands for it; nothing here knows what a test wants.

pub mod folders;
pub mod kafka;
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

/// Ends processes in the reverse order of their start.
pub fn stop_in_reverse(processes: Vec<Process>) {
    for mut process in processes.into_iter().rev() {
        if let Err(error) = process.stop() {
            eprintln!("{error:#}");
        }
    }
}
