//! The shop's output: the events in Kafka, and the notifications that notifier sends for them.

mod message;
mod notifications;
mod payment_timeout;
mod poison;
mod schema;
mod sequence;
mod traces;
mod verify;
