//! Producer and consumer actors on a real Kafka.

mod consumer;
mod errors;
mod faults;
mod outage;
mod producer;
mod recreated;
mod support;
