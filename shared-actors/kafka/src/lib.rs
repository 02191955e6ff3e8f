#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod client;
mod consumer;
mod metrics;
mod producer;
mod record;
pub mod spans;
mod statistics;
mod topic;

pub use consumer::{ConsumerHandle, ConsumerOptions, RecordSink, SinkError};
pub use producer::{ProducerError, ProducerHandle, ProducerOptions};
pub use record::{Headers, ReceivedRecord, Record};
pub use topic::Topic;
