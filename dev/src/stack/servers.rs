//! The servers that the shop needs, started together: three `PostgreSQL` servers, Redis and Kafka.

use anyhow::Result;

use super::folders::Folders;
use super::ports::{free_port, port_from_env};
use super::postgres::Postgres;
use super::process::Process;
use super::report::step;
use super::{kafka, redis};

/// The ports of the servers on localhost.
#[derive(Debug, Clone, Copy)]
pub struct ServerPorts {
    /// The primary of shard 0.
    pub postgres_0: u16,
    /// The streaming replica of shard 0.
    pub postgres_replica_0: u16,
    /// The primary of shard 1.
    pub postgres_1: u16,
    /// Redis.
    pub redis: u16,
    /// Kafka, for clients.
    pub kafka: u16,
    /// Kafka, for its controller.
    pub kafka_controller: u16,
}

impl ServerPorts {
    /// The ports that every service of the shop expects by default, except those that environment
    /// variables such as `SHOP_REDIS_PORT` change.
    pub fn from_env() -> Result<Self> {
        Ok(Self {
            postgres_0: port_from_env("SHOP_POSTGRES_0_PORT", 5432)?,
            postgres_replica_0: port_from_env("SHOP_POSTGRES_REPLICA_0_PORT", 5433)?,
            postgres_1: port_from_env("SHOP_POSTGRES_1_PORT", 5434)?,
            redis: port_from_env("SHOP_REDIS_PORT", 6379)?,
            kafka: port_from_env("SHOP_KAFKA_PORT", 9092)?,
            kafka_controller: port_from_env("SHOP_KAFKA_CONTROLLER_PORT", 9093)?,
        })
    }

    /// Ports that are free now.
    pub fn free() -> Result<Self> {
        Ok(Self {
            postgres_0: free_port()?,
            postgres_replica_0: free_port()?,
            postgres_1: free_port()?,
            redis: free_port()?,
            kafka: free_port()?,
            kafka_controller: free_port()?,
        })
    }

    /// Each server, the environment variable that changes its port, and its port.
    pub fn list(&self) -> [(&'static str, &'static str, u16); 6] {
        [
            ("PostgreSQL shard 0", "SHOP_POSTGRES_0_PORT", self.postgres_0),
            ("PostgreSQL shard 0 replica", "SHOP_POSTGRES_REPLICA_0_PORT", self.postgres_replica_0),
            ("PostgreSQL shard 1", "SHOP_POSTGRES_1_PORT", self.postgres_1),
            ("Redis", "SHOP_REDIS_PORT", self.redis),
            ("Kafka", "SHOP_KAFKA_PORT", self.kafka),
            ("Kafka's controller", "SHOP_KAFKA_CONTROLLER_PORT", self.kafka_controller),
        ]
    }
}

/// Starts the servers in parallel and returns them in dependency order. Stopping them in reverse
/// order stops no server before its clients. If one fails, those that started are stopped again.
pub async fn start(ports: ServerPorts, folders: &Folders, for_tests: bool) -> Result<Vec<Process>> {
    let databases: (&[&str], &[&str]) =
        if for_tests { (&[], &[]) } else { (&["loms", "cart", "notifier"], &["loms", "cart"]) };
    let shard_0 = Postgres {
        name: "PostgreSQL shard 0",
        folder: "shard-0",
        port: ports.postgres_0,
        databases: databases.0,
        replica_of: None,
        for_tests,
    };
    let replica_0 = Postgres {
        name: "PostgreSQL shard 0 replica",
        folder: "shard-0-replica",
        port: ports.postgres_replica_0,
        databases: &[],
        replica_of: Some(ports.postgres_0),
        for_tests,
    };
    let shard_1 = Postgres {
        name: "PostgreSQL shard 1",
        folder: "shard-1",
        port: ports.postgres_1,
        databases: databases.1,
        replica_of: None,
        for_tests,
    };
    let replicated_shard_0 = async {
        let primary = started(shard_0.name, shard_0.port, shard_0.start(folders)).await?;
        let replica = started(replica_0.name, replica_0.port, replica_0.start(folders)).await?;
        Ok((primary, replica))
    };
    let listeners = kafka::Listeners::new(ports.kafka, ports.kafka_controller);
    let ((primary_0, replica_0), primary_1, redis, kafka) = tokio::try_join!(
        replicated_shard_0,
        started(shard_1.name, shard_1.port, shard_1.start(folders)),
        started("Redis", ports.redis, redis::start(ports.redis, folders)),
        started("Kafka", ports.kafka, kafka::start(&listeners, folders)),
    )?;
    Ok(vec![primary_0, replica_0, primary_1, redis, kafka])
}

async fn started(
    name: &str,
    port: u16,
    start: impl Future<Output = Result<Process>>,
) -> Result<Process> {
    step(&format!("{name} (localhost:{port})"), start).await
}
