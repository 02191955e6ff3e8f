#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

pub mod actor;
pub mod crash;
pub mod deadline;
pub mod exit;
mod fits;
pub mod health;
pub mod metrics;
pub mod shutdown;
pub mod trace;
pub mod watchdog;

pub use fits::fits;
