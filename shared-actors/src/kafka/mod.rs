//! Kafka: a producer actor that publishes all or nothing, and a consumer actor that commits after
//! the sink has finished.
//!
//! Only this module uses librdkafka. Its blocking calls run on separate threads, its log lines go
//! to `tracing`, and the state of its connections goes to [`crate::health`]. The services define
//! what the records mean.

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
