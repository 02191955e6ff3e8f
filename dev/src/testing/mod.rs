//! Helpers for tests that use the real servers: private databases and topics, services as
//! processes, waiting.
//!
//! A helper that cannot do its work panics, which fails the test with the reason.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test's helper fails the test by its panic"
)]

mod authority;
mod cluster;
pub mod crashes;
mod database;
mod eventually;
mod fault;
pub mod issuer;
mod proxy;
mod service;
mod terminator;
mod topic;

#[cfg(test)]
mod tests;

pub use authority::{Authority, Certificate};
pub use cluster::KafkaCluster;
pub use database::{Database, create_database};
pub use eventually::{Condition, eventually};
pub use fault::Fault;
pub use issuer::Issuer;
pub use proxy::Proxy;
pub use service::ServiceProcess;
pub use terminator::TlsTerminator;
pub use topic::{Topic, limit_records, unique_topic};

pub use crate::http::client as http_client;
pub use crate::product_stand_in::{Call, Controls, Failure as ProductFailure, ProductStandIn};
pub use crate::stack::postgres::{PASSWORD, USER};
pub use crate::stack::process::Signal;

use std::path::PathBuf;

/// Addresses (`host:port`) of the servers that tests may use, and the folder of the built services.
#[derive(Debug, Clone)]
pub struct Servers {
    /// `PostgreSQL`, primary of shard 0.
    pub postgres_0: String,
    /// `PostgreSQL`, streaming replica of shard 0.
    pub postgres_replica_0: String,
    /// `PostgreSQL`, primary of shard 1.
    pub postgres_1: String,
    /// Redis.
    pub redis: String,
    /// Kafka.
    pub kafka: String,
    /// The folder of the services' binaries.
    pub bin_dir: PathBuf,
}

impl Servers {
    /// Reads the addresses that `stack test` put into the environment.
    pub fn from_env() -> Self {
        Self {
            postgres_0: variable("SHOP_TEST_POSTGRES_0"),
            postgres_replica_0: variable("SHOP_TEST_POSTGRES_REPLICA_0"),
            postgres_1: variable("SHOP_TEST_POSTGRES_1"),
            redis: variable("SHOP_TEST_REDIS"),
            kafka: variable("SHOP_TEST_KAFKA"),
            bin_dir: PathBuf::from(variable("SHOP_TEST_BIN_DIR")),
        }
    }
}

/// A free port on localhost. One process never gets the same port twice.
pub fn free_port() -> u16 {
    crate::stack::ports::free_port().expect("a free port")
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set. This test needs the real servers: run all tests with `make test`, or these with \
             `target/debug/stack test -- cargo test -p <crate> <filter>`"
        )
    })
}

/// Runs a clean-up to completion from `Drop`, whatever runtime the test uses.
fn clean_up(work: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(work)
    });
    match thread.join() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => eprintln!("clean-up after a test: {error:#}"),
        Err(_) => eprintln!("clean-up after a test panicked"),
    }
}
