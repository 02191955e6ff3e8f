//! `PostgreSQL`: a primary or a streaming replica, with the configuration file from
//! docker/postgres.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, Executor};

use super::folders::Folders;
use super::process::{Process, Signal};
use super::program::Program;
use super::tools;
use super::user::{ServerUser, private_folder};

/// The superuser of every server in the stack, which is also the services' user.
pub const USER: &str = "postgres";
/// The password of [`USER`].
pub const PASSWORD: &str = "postgres";

const READY_WITHIN: Duration = Duration::from_mins(1);
const TOOL_WITHIN: Duration = Duration::from_mins(2);

/// One `PostgreSQL` server of the stack.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// The name that people read in messages.
    pub name: &'static str,
    /// The name of its data folder and of its log.
    pub folder: &'static str,
    /// The port on localhost.
    pub port: u16,
    /// The databases to create. Empty for a replica.
    pub databases: &'static [&'static str],
    /// The port of the primary that this server follows. `None` for a primary.
    pub replica_of: Option<u16>,
    /// Whether the server is for one test run. Its data are then created without waiting for the
    /// disk, and its logins are cheap.
    pub for_tests: bool,
}

impl Postgres {
    /// Starts the server on the data of earlier runs, or on new data, and waits until it is ready.
    pub async fn start(&self, folders: &Folders) -> Result<Process> {
        let user = ServerUser::unless_ordinary()?;
        let data = private_folder(&folders.data("postgres"), user)?.join(self.folder);
        let Some(primary) = self.replica_of else {
            self.create_data(&data, folders, user).await?;
            let mut process = self.launch(&data, folders, user)?;
            process.until_ready(READY_WITHIN, async || self.answers().await).await?;
            self.create_databases().await?;
            return Ok(process);
        };
        let found_earlier = self.clone_data(primary, &data, folders, user).await?;
        let mut process = self.launch(&data, folders, user)?;
        let patience = if found_earlier { Duration::from_secs(20) } else { READY_WITHIN };
        let outcome = process.until_ready(patience, async || self.follows().await).await;
        if outcome.is_ok() || !found_earlier {
            return outcome.map(|()| process);
        }
        // The replica belongs to another primary, or is too far behind this one. A new copy always
        // works.
        drop(process);
        fs::remove_dir_all(&data)?;
        self.clone_data(primary, &data, folders, user).await?;
        let mut process = self.launch(&data, folders, user)?;
        process.until_ready(READY_WITHIN, async || self.follows().await).await?;
        Ok(process)
    }

    fn launch(&self, data: &Path, folders: &Folders, user: Option<ServerUser>) -> Result<Process> {
        install_configuration(data, folders, user)?;
        let mut settings = vec![
            "listen_addresses=localhost".to_owned(),
            format!("port={}", self.port),
            "unix_socket_directories=".to_owned(),
        ];
        if folders.are_in_memory() {
            settings.push("max_wal_size=512MB".to_owned());
        }
        if let Some(primary) = self.replica_of {
            settings.push(format!("primary_conninfo={}", conninfo(primary)));
        }
        let options = settings.iter().flat_map(|setting| ["-c", setting.as_str()]);
        self.program("postgres", data, folders, user)?
            .arg("-D")
            .arg(data)
            .args(options)
            .port(self.port)
            .start()
    }

    fn program(
        &self,
        program: &str,
        data: &Path,
        folders: &Folders,
        user: Option<ServerUser>,
    ) -> Result<Program> {
        let version = fs::read_to_string(data.join("PG_VERSION")).ok();
        let programs = tools::postgres_programs(version.as_deref().map(str::trim))?;
        let (name, log) = if program == "postgres" {
            (self.name.to_owned(), folders.log(self.folder))
        } else {
            (
                format!("{} ({program})", self.name),
                folders.log(&format!("{}-{program}", self.folder)),
            )
        };
        // PostgreSQL takes SIGINT for a fast shutdown and SIGQUIT for an immediate one.
        Ok(Program::new(name, programs.join(program), log)
            .user(user)
            .signals(Signal::SIGINT, Signal::SIGQUIT))
    }

    async fn create_data(
        &self,
        data: &Path,
        folders: &Folders,
        user: Option<ServerUser>,
    ) -> Result<()> {
        if data.join("PG_VERSION").is_file() {
            return Ok(());
        }
        let unfinished = unfinished(data)?;
        let password = data.with_extension("password");
        write_for(&password, PASSWORD, user)?;
        let mut initdb = self
            .program("initdb", data, folders, user)?
            .arg("-D")
            .arg(&unfinished)
            .args(["-U", USER, "-E", "UTF8", "--locale=C.UTF-8"])
            .arg("--pwfile")
            .arg(&password);
        initdb = if self.for_tests {
            // A login with SCRAM takes an unoptimized client up to 90 ms.
            initdb.args(["-A", "md5", "--no-sync"])
        } else {
            initdb.args(["-A", "scram-sha-256"])
        };
        initdb.run(TOOL_WITHIN).await?;
        fs::remove_file(&password)?;
        fs::rename(&unfinished, data)?;
        Ok(())
    }

    /// Copies the primary unless an earlier run did. Returns whether an earlier run did.
    async fn clone_data(
        &self,
        primary: u16,
        data: &Path,
        folders: &Folders,
        user: Option<ServerUser>,
    ) -> Result<bool> {
        if data.join("PG_VERSION").is_file() {
            return Ok(true);
        }
        let unfinished = unfinished(data)?;
        let mut copy = self
            .program("pg_basebackup", data, folders, user)?
            .args(["-d", &conninfo(primary), "-R", "-X", "stream", "-c", "fast", "-D"])
            .arg(&unfinished);
        if self.for_tests {
            copy = copy.arg("--no-sync");
        }
        copy.run(TOOL_WITHIN).await?;
        fs::rename(&unfinished, data)?;
        Ok(false)
    }

    async fn answers(&self) -> Result<()> {
        let mut connection = connect(self.port, "postgres").await?;
        connection.execute("select 1").await?;
        Ok(())
    }

    async fn follows(&self) -> Result<()> {
        let mut connection = connect(self.port, "postgres").await?;
        let streaming =
            "select exists (select from pg_stat_wal_receiver where status = 'streaming')";
        let streaming: bool = sqlx::query_scalar(streaming).fetch_one(&mut connection).await?;
        ensure!(streaming, "the replica does not stream from its primary");
        Ok(())
    }

    async fn create_databases(&self) -> Result<()> {
        let mut connection = connect(self.port, "postgres").await?;
        for database in self.databases {
            let known = "select exists (select from pg_database where datname = $1)";
            if !sqlx::query_scalar(known).bind(database).fetch_one(&mut connection).await? {
                connection.execute(AssertSqlSafe(format!("create database {database}"))).await?;
            }
        }
        Ok(())
    }
}

/// Connects to a database of the server on `port` of localhost, as the stack's superuser.
pub async fn connect(port: u16, database: &str) -> Result<PgConnection> {
    let options = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username(USER)
        .password(PASSWORD)
        .database(database)
        .ssl_mode(PgSslMode::Disable);
    Ok(PgConnection::connect_with(&options).await?)
}

fn conninfo(port: u16) -> String {
    format!("host=127.0.0.1 port={port} user={USER} password={PASSWORD} application_name=replica")
}

/// The temporary folder in which data are created before they are renamed. Removes what an
/// interrupted start left there.
fn unfinished(data: &Path) -> Result<PathBuf> {
    let unfinished = data.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    Ok(unfinished)
}

/// Copies the configuration for the server, whose user may not be able to read the project's
/// folder.
fn install_configuration(data: &Path, folders: &Folders, user: Option<ServerUser>) -> Result<()> {
    let source = folders.root().join("docker/postgres/postgresql.conf");
    let text =
        fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    write_for(&data.join("postgresql.conf"), &text, user)
}

fn write_for(file: &Path, text: &str, user: Option<ServerUser>) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    fs::set_permissions(file, Permissions::from_mode(0o600))?;
    if let Some(user) = user {
        chown(file, Some(user.uid), Some(user.gid))?;
    }
    Ok(())
}
