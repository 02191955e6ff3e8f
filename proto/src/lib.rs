//! The gRPC interface of loms: messages, client, server and descriptors, all generated from
//! `loms.proto`. The server refuses malformed requests as `INVALID_ARGUMENT`.
//!
//! ```
//! use loms_proto::{Item, Order, OrderCreateRequest};
//!
//! let items = vec![Item { sku: 1002, count: 1 }];
//! let order = Order { user: 1, items, ..Order::default() };
//! let request = OrderCreateRequest { order: Some(order), ..OrderCreateRequest::default() };
//! assert_eq!(request.idempotency_key, "");
//! ```

mod codec;

pub use codec::{RequestCodec, RequestDecoder};
pub use generated::*;
pub use generated_server::loms_server;

/// The compiled `loms.proto` with its imports. Server reflection serves it, and the gateway derives
/// its JSON from it.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("loms");

/// The JSON Schema of the events in Kafka, which loms serves.
pub const ORDER_EVENT_SCHEMA: &str = include_str!("../order-event.schema.json");

#[allow(clippy::pedantic, missing_docs, reason = "generated")]
mod generated {
    tonic::include_proto!("_");
}

#[allow(clippy::pedantic, missing_docs, reason = "generated")]
mod generated_server {
    include!(concat!(env!("OUT_DIR"), "/server/_.rs"));
}
