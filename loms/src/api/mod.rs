//! The front-ends of loms: gRPC and the REST gateway, two encodings of the same calls.
//!
//! A front-end parses the request, calls a use case and maps the answer. It contains no SQL, no
//! Kafka and no business rules.

mod calls;
pub mod codec;
pub mod gateway;
pub mod grpc;
mod list;
pub mod proto;
mod request;
mod response;

pub use gateway::openapi;

/// The compiled `proto/loms.proto` with its imports. Server reflection serves it, and the gateway
/// derives its JSON from it.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("loms");

/// Maximum size of a request in bytes, for both front-ends. An order of a thousand items fits.
pub const REQUEST_LIMIT_BYTES: usize = 64 * 1024;
