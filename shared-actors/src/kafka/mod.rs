//! Kafka: a producer actor that publishes all or nothing, and a consumer actor that commits after the effect.
//!
//! This is the only place that knows librdkafka: its blocking calls run on threads of their own, its log lines go to
//! `tracing`, and the state of its connections goes to [`crate::health`]. What records mean is the services' matter.

mod client;
mod consumer;
mod metrics;
mod producer;
mod record;
mod settings;
mod statistics;
mod topic;
pub mod trace;

pub use consumer::{ConsumerHandle, ConsumerOptions, RecordSink, SinkError};
pub use producer::{ProducerError, ProducerHandle, ProducerOptions};
pub use record::{Headers, ReceivedRecord, Record};
pub use settings::KafkaSettings;
pub use topic::Topic;
