#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod brokers;
mod client;
mod consumer;
mod metrics;
mod offsets;
mod producer;
mod record;
pub mod spans;
mod statistics;
mod topic;

pub use brokers::Brokers;
pub use consumer::{ConsumerHandle, ConsumerOptions, RecordSink, SinkError};
pub use offsets::{GroupPosition, Offsets};
pub use producer::{ProducerError, ProducerHandle, ProducerOptions};
/// An error of the Kafka client.
pub use rdkafka::error::KafkaError;
pub use record::{Headers, ReceivedRecord, Record};
pub use topic::Topic;
