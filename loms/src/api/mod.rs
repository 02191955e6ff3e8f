//! The front-ends of loms: gRPC and the REST gateway, two encodings of the same calls.
//!
//! A front-end parses the request, calls a use case and maps the answer. It contains no SQL, no
//! Kafka and no business rules.

mod calls;
pub mod gateway;
pub mod grpc;
mod list;
mod request;
mod response;

pub use gateway::openapi;
pub use loms_proto as proto;

/// Maximum size of a request in bytes, for both front-ends. An order of a thousand items fits.
pub const REQUEST_LIMIT_BYTES: usize = 64 * 1024;
