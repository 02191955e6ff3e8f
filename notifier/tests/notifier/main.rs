//! The notifier on a real Kafka and a real `PostgreSQL`: in this process with a channel that remembers, and as it ships.

mod dead_letters;
mod delivery;
mod faults;
mod process;
mod support;
mod threads;
