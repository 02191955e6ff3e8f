//! The notifier on a real Kafka and a real `PostgreSQL`: in this process with a recording channel,
//! and as it ships.

mod cluster;
mod crashes;
mod dead_letters;
mod delivery;
mod dlq;
mod email;
mod faults;
mod group;
mod history;
mod immediate;
mod process;
mod support;
mod threads;
mod verify;
mod webhook;
