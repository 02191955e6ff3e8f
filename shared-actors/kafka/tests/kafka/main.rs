//! Producer and consumer actors on a real Kafka.

mod consumer;
mod faults;
mod outage;
mod producer;
mod recreated;
mod support;
