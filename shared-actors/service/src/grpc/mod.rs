//! The gRPC front-end of a service, and what its clients need: deadlines, traces and metrics on
//! both sides.
//!
//! Methods belong to the services. The services set the message size limit where they create their
//! servers, with [`GrpcServerSettings::message_limit_bytes`].

mod answer;
mod call;
mod client;
mod connections;
mod ended;
mod link;
mod methods;
mod server;
mod settings;
mod status;

pub use client::call;
pub use link::Link;
pub(crate) use link::endpoint;
pub use server::{GrpcFrontEnd, GrpcService, serve};
pub use settings::GrpcServerSettings;
pub use status::{code_name, status};
