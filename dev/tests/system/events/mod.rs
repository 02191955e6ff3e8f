//! What comes out of the shop: the events on Kafka, and what notifier makes of them.

mod message;
mod notifications;
mod payment_timeout;
mod poison;
mod sequence;
mod traces;
