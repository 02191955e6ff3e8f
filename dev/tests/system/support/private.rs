//! Private servers that a test may stop and start. Their ports are reserved first, and each server
//! starts on request.

use anyhow::Result;
use dev::stack::folders::Folders;
use dev::stack::kafka::{Listeners, Proxied};
use dev::stack::postgres::Postgres;
use dev::stack::process::Process;
use dev::stack::servers::ServerPorts;
use dev::stack::{kafka, redis};
use dev::testing::{Proxy, Servers, free_port};

/// Ports and folders of servers that are started later.
#[derive(Debug)]
pub struct PrivateServers {
    ports: ServerPorts,
    folders: Folders,
}

impl PrivateServers {
    /// Reserves ports and a folder. Starts nothing.
    pub fn prepare() -> Self {
        let ports = ServerPorts::free().unwrap();
        Self { ports, folders: Folders::for_a_test_run().unwrap() }
    }

    /// The servers of the test run, with these in place of the replaced kinds.
    pub fn in_place_of(&self, replaced: &[Kind]) -> Servers {
        let mut servers = Servers::from_env();
        for kind in replaced {
            match kind {
                Kind::Postgres => servers.postgres_0 = local(self.ports.postgres_0),
                Kind::Replica => servers.postgres_replica_0 = local(self.ports.postgres_replica_0),
                Kind::PostgresOfShard1 => servers.postgres_1 = local(self.ports.postgres_1),
                Kind::Redis => servers.redis = local(self.ports.redis),
                Kind::Kafka => servers.kafka = local(self.ports.kafka),
            }
        }
        servers
    }

    /// Starts `PostgreSQL`, with its earlier data if it ran before. The services create their
    /// databases.
    pub async fn postgres(&self) -> Result<Process> {
        self.start("shard-0", self.ports.postgres_0, None).await
    }

    /// Starts the streaming replica of [`Self::postgres`].
    pub async fn replica(&self) -> Result<Process> {
        self.start("shard-0-replica", self.ports.postgres_replica_0, Some(self.ports.postgres_0))
            .await
    }

    /// Starts `PostgreSQL` for shard 1.
    pub async fn postgres_of_shard_1(&self) -> Result<Process> {
        self.start("shard-1", self.ports.postgres_1, None).await
    }

    async fn start(
        &self,
        folder: &'static str,
        port: u16,
        replica_of: Option<u16>,
    ) -> Result<Process> {
        let name = "PostgreSQL of one test";
        let server = Postgres { name, folder, port, databases: &[], replica_of, for_tests: true };
        server.start(&self.folders).await
    }

    /// Starts Redis.
    pub async fn redis(&self) -> Result<Process> {
        redis::start(self.ports.redis, &self.folders).await
    }

    /// Starts Kafka, with its earlier data if it ran before.
    pub async fn kafka(&self) -> Result<Process> {
        self.kafka_listening(None).await
    }

    /// Starts Kafka with `proxy` between it and its clients.
    pub async fn kafka_behind(&self, proxy: &Proxy) -> Result<Process> {
        let proxied = Proxied { proxy_port: proxy.port(), broker_port: free_port() };
        self.kafka_listening(Some(proxied)).await
    }

    async fn kafka_listening(&self, proxied: Option<Proxied>) -> Result<Process> {
        let (port, controller_port) = (self.ports.kafka, self.ports.kafka_controller);
        kafka::start(&Listeners { port, controller_port, proxied }, &self.folders).await
    }
}

/// An empty cache: a private Redis that ends with this value, and the test run's servers with this
/// Redis in place of theirs.
#[derive(Debug)]
pub struct OwnCache {
    pub servers: Servers,
    _redis: Process,
    _private: PrivateServers,
}

impl OwnCache {
    /// Starts the Redis.
    pub async fn start() -> Self {
        let private = PrivateServers::prepare();
        let redis = private.redis().await.unwrap();
        Self { servers: private.in_place_of(&[Kind::Redis]), _redis: redis, _private: private }
    }
}

/// A kind of server that a test may need for itself.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Postgres,
    Replica,
    PostgresOfShard1,
    Redis,
    Kafka,
}

fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
