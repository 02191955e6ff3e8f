//! A database for one test.

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::clean_up;
use crate::stack::postgres::{PASSWORD, USER, connect};

/// A database that is dropped together with this value.
#[derive(Debug)]
pub struct Database {
    /// The server, `host:port`.
    pub host_port: String,
    /// The database's name.
    pub name: String,
}

/// Creates an empty database with a unique name on a server (`host:port`). A database on the
/// primary of shard 0 also appears on its replica.
pub async fn create_database(host_port: &str, prefix: &str) -> Database {
    let name = format!("{prefix}_{}", uuid::Uuid::new_v4().simple());
    let mut connection = connect(port(host_port), "postgres").await.expect("PostgreSQL answers");
    let create = AssertSqlSafe(format!("create database {name} strategy file_copy"));
    connection.execute(create).await.expect("a database can be created");
    Database { host_port: host_port.to_owned(), name }
}

impl Database {
    /// Creates a database with the same content on the same server. Nothing may be connected to
    /// this one meanwhile.
    pub async fn copy(&self) -> Self {
        let name = format!("copy_{}", uuid::Uuid::new_v4().simple());
        let mut connection =
            connect(port(&self.host_port), "postgres").await.expect("PostgreSQL answers");
        let create = AssertSqlSafe(format!(
            "create database {name} template {} strategy file_copy",
            self.name
        ));
        connection.execute(create).await.expect("a database can be copied");
        Self { host_port: self.host_port.clone(), name }
    }

    /// The connection options for an sqlx pool.
    pub fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port(&self.host_port))
            .username(USER)
            .password(PASSWORD)
            .database(&self.name)
            .ssl_mode(PgSslMode::Disable)
    }

    /// Opens a connection to this database.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.options()).await.expect("the test's database answers")
    }

    /// The environment variables that make this database a service's primary of shard `shard`.
    pub fn master_env(&self, shard: u16) -> Vec<(String, String)> {
        self.env("MASTER", shard, &self.host_port)
    }

    /// The environment variables that make this database a service's replica of shard `shard`, on
    /// the server `replica` (`host:port`).
    pub fn replica_env(&self, shard: u16, replica: &str) -> Vec<(String, String)> {
        self.env("REPLICA", shard, replica)
    }

    fn env(&self, role: &str, shard: u16, host_port: &str) -> Vec<(String, String)> {
        let setting =
            |what: &str, value: &str| (format!("DATABASE_{role}_{what}_{shard}"), value.to_owned());
        vec![
            setting("HOST_PORT", host_port),
            setting("USER", USER),
            setting("PASSWORD", PASSWORD),
            setting("NAME", &self.name),
        ]
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (port, name) = (port(&self.host_port), self.name.clone());
        clean_up(async move {
            let mut connection = connect(port, "postgres").await?;
            connection
                .execute(AssertSqlSafe(format!("drop database if exists {name} with (force)")))
                .await?;
            Ok(())
        });
    }
}

fn port(host_port: &str) -> u16 {
    let port = host_port.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    port.unwrap_or_else(|| panic!("{host_port} is not host:port"))
}
