//! The front-ends of loms: gRPC and the REST gateway, two spellings of the same calls.
//!
//! A front-end parses, asks a use case and maps the answer. No SQL, no Kafka and no business rule lives here.

mod calls;
pub mod codec;
pub mod gateway;
pub mod grpc;
mod list;
pub mod proto;
mod request;
mod response;

pub use gateway::openapi;

/// The compiled `proto/loms.proto` with its imports: what reflection shows and the gateway's JSON is made from.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("loms");

/// The most bytes of one request, in either spelling; an order of a thousand items fits.
pub const REQUEST_LIMIT_BYTES: usize = 64 * 1024;
