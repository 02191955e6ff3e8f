//! The actor layer of the shop, and the infrastructure that all its services share.
//!
//! [`actor`] is the only module that knows how actix works inside. Services see typed
//! [`actor::Handle`]s.

#![warn(missing_docs)]

pub mod actor;
pub mod crash;
pub mod database;
pub mod deadline;
pub mod error;
pub mod failures;
pub mod grpc;
pub mod health;
pub mod http;
pub mod kafka;
pub mod metrics;
pub mod net;
pub mod process;
mod refusals;
pub mod settings;
pub mod shard;
pub mod shutdown;
pub mod telemetry;
pub mod watchdog;
