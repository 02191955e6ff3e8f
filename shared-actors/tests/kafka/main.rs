//! Producer and consumer actors on a real Kafka.

mod consumer;
mod outage;
mod producer;
mod support;
