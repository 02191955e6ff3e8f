#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod allowance;
pub mod database;
pub mod error;
pub mod grpc;
pub mod http;
pub mod identity;
pub mod limits;
pub mod metrics;
pub mod net;
pub mod process;
mod refusals;
pub mod settings;
pub mod shard;
pub mod telemetry;
pub mod tls;
pub mod verify;
