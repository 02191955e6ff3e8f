//! The actor layer of the shop, and what each of its services needs once.
//!
//! [`actor`] is the only place that knows how actix works inside: services see typed [`actor::Handle`]s.

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
