//! Private servers that a test may stop and start. Their ports are reserved first, and each server
//! starts on request.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use anyhow::Result;
use dev::stack::folders::Folders;
use dev::stack::kafka::{Listeners, Proxied, Secured};
use dev::stack::postgres::{self, Postgres};
use dev::stack::process::Process;
use dev::stack::servers::ServerPorts;
use dev::stack::{kafka, redis};
use dev::testing::{Certificate, Proxy, Servers, free_port};
use sqlx::Executor;

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

    /// Lets the running `PostgreSQL` accept TLS with `certificate`.
    pub async fn encrypt_postgres(&self, certificate: &Certificate) {
        let data = self.folders.data("postgres").join("shard-0");
        let owner = fs::metadata(&data).unwrap();
        for (from, name) in [(&certificate.file, "server.crt"), (&certificate.key, "server.key")] {
            let to = data.join(name);
            fs::copy(from, &to).unwrap();
            fs::set_permissions(&to, Permissions::from_mode(0o600)).unwrap();
            chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let mut connection = postgres::connect(self.ports.postgres_0, "postgres").await.unwrap();
        connection.execute("alter system set ssl = on").await.unwrap();
        connection.execute("select pg_reload_conf()").await.unwrap();
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

    /// Starts Redis with another port for clients with TLS. Returns that port.
    pub async fn encrypted_redis(&self, certificate: &Certificate) -> Result<(Process, u16)> {
        let port = free_port();
        let file = |path: &std::path::Path| path.display().to_string();
        let (certificate, key) = (file(&certificate.file), file(&certificate.key));
        let more = [
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &certificate,
            "--tls-auth-clients",
            "no",
        ];
        let more = more.map(str::to_owned);
        Ok((redis::start_with(self.ports.redis, &more, &self.folders).await?, port))
    }

    /// Starts Kafka with another port for clients with TLS that log in.
    pub async fn secured_kafka(&self, secured: Secured) -> Result<Process> {
        let listeners = Listeners::new(self.ports.kafka, self.ports.kafka_controller);
        kafka::start(&Listeners { secured: Some(secured), ..listeners }, &self.folders).await
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
        let listeners = Listeners { proxied, ..Listeners::new(port, controller_port) };
        kafka::start(&listeners, &self.folders).await
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
