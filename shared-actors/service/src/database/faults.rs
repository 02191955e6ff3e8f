//! Tests of pools on networks and servers that fail.

use std::time::Duration;

use dev::testing::{Database, Proxy, Servers, create_database, eventually};
use futures::future::{join, join_all};
use shared_actors::deadline;
use shared_actors::health::Health;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, SqlSafeStr};
use tokio::time::{Instant, timeout};

use super::{DatabaseError, Migrations, Pool, PoolSettings, Probe, observe, prepare, watch};
use crate::settings::{DatabaseSettings, Reader, ShardDefaults, ShardSettings};

const CONNECTIONS: u32 = 4;
const SOON: Duration = Duration::from_secs(20);

/// The settings that reach `database` at `host_port`.
fn settings(database: &Database, host_port: &str) -> DatabaseSettings {
    let defaults = ShardDefaults { primaries: &[], replicas: &[], name: "", prefix: "" };
    let mut env = database.master_env(0);
    env.iter_mut()
        .filter(|(name, _)| name.contains("HOST_PORT"))
        .for_each(|(_, value)| *value = host_port.to_owned());
    ShardSettings::read(&mut Reader::from_pairs(env), &defaults).remove(0).primary
}

/// A pool with all its connections open, and the proxy that they go through.
async fn full_pool() -> (Database, Proxy, DatabaseSettings, Pool) {
    let database = create_database(&Servers::from_env().postgres_0, "faults").await;
    let proxy = Proxy::to(&database.host_port);
    let settings = settings(&database, &proxy.address());
    let pool = Pool::new(&settings, &PoolSettings::new("faults").with_max_connections(CONNECTIONS));
    let slow =
        (0..CONNECTIONS).map(async |_| sqlx::query("SELECT pg_sleep(0.1)").execute(&pool).await);
    join_all(slow).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    eventually(SOON, "all connections are back", async || pool.num_idle() == CONNECTIONS as usize)
        .await;
    (database, proxy, settings, pool)
}

/// Runs a statement at its deadline, so that it is given up after one second.
async fn ask(pool: &Pool) -> Result<(), DatabaseError> {
    let asked = observe("ask", sqlx::query("SELECT 1").execute(pool));
    deadline::scope(Instant::now(), asked).await?;
    Ok(())
}

#[actix_rt::test]
async fn connections_that_are_cut_silently_cost_one_statement_and_are_all_replaced() {
    let (_database, proxy, _, pool) = full_pool().await;
    proxy.silence();
    ask(&pool).await.unwrap_err();
    for _ in 0..2 * CONNECTIONS {
        ask(&pool).await.unwrap();
    }
}

#[actix_rt::test]
async fn a_server_that_opens_sessions_more_slowly_than_statements_wait_is_reached_all_the_same() {
    let database = create_database(&Servers::from_env().postgres_0, "slow").await;
    let proxy = Proxy::to(&database.host_port);
    proxy.delay(Duration::from_millis(100));
    let limits =
        PoolSettings { acquire_timeout: Duration::from_millis(50), ..PoolSettings::new("slow") };
    let pool = Pool::new(&settings(&database, &proxy.address()), &limits);
    let error = sqlx::query("SELECT 1").execute(&pool).await.unwrap_err();
    assert!(matches!(error, sqlx::Error::PoolTimedOut), "{error}");
    eventually(SOON, "a session is open", async || sqlx::query("SELECT 1").execute(&pool).await)
        .await;
}

#[actix_rt::test]
async fn a_server_that_opens_sessions_more_slowly_than_a_probe_waits_is_reached_all_the_same() {
    let database = create_database(&Servers::from_env().postgres_0, "probe").await;
    let proxy = Proxy::to(&database.host_port);
    proxy.delay(Duration::from_millis(100));
    let mut probe = Probe::new(&settings(&database, &proxy.address()), "probe");
    let within = Duration::from_millis(50);
    probe.ask(within, async |server| server.ping().await).await.unwrap_err();
    eventually(SOON, "a session is open", async || probe.ask(within, async |_| Ok(())).await).await;
}

#[actix_rt::test]
async fn connections_that_the_server_closes_cost_one_statement_at_most() {
    let (_database, proxy, _, pool) = full_pool().await;
    proxy.cut();
    let _ = ask(&pool).await;
    for _ in 0..2 * CONNECTIONS {
        ask(&pool).await.unwrap();
    }
}

#[actix_rt::test]
async fn statements_on_connections_that_the_watch_finds_dead_are_given_up_long_before_their_deadline()
 {
    let (_database, proxy, settings, pool) = full_pool().await;
    let health = Health::new();
    let component = health.component("database");
    let watching = actix_rt::spawn(watch(settings, component, vec![pool.clone()]));
    eventually(SOON, "the server is watched", async || health.is_ready()).await;
    // The session of the watch and that of the next statement are dead from here on.
    proxy.silence();
    let asked = Instant::now();
    let error = observe("long", sqlx::query("SELECT 1").execute(&pool)).await.unwrap_err();
    assert!(matches!(DatabaseError::from(error), DatabaseError::Unavailable(_)));
    assert!(asked.elapsed() < super::STATEMENT_TIMEOUT, "it waited for {:?}", asked.elapsed());
    eventually(SOON, "the next ones are answered", async || ask(&pool).await).await;
    watching.abort();
}

#[actix_rt::test]
async fn nobody_waits_for_a_server_that_is_known_not_to_answer() {
    let (_database, proxy, settings, pool) = full_pool().await;
    let health = Health::new();
    let component = health.component("database");
    let watching = actix_rt::spawn(watch(settings, component, vec![pool.clone()]));
    eventually(SOON, "the server is watched", async || health.is_ready()).await;
    proxy.refuse();
    eventually(SOON, "the server is known to be away", async || pool.why_unreachable()).await;
    let error = sqlx::query("SELECT 1").execute(&pool).await.unwrap_err();
    assert!(error.to_string().contains("the statement was not sent"), "{error}");
    assert!(DatabaseError::from(error).changed_nothing());
    assert!(!health.is_ready());
    proxy.heal();
    eventually(SOON, "the server is back", async || ask(&pool).await).await;
    eventually(SOON, "and known to be", async || health.is_ready()).await;
    watching.abort();
}

#[actix_rt::test]
async fn sessions_that_were_opened_while_the_server_was_read_only_are_replaced() {
    let (database, _proxy, _, pool) = full_pool().await;
    let mut operator = database.connect().await;
    operator.execute("CREATE TABLE written (id int)").await.unwrap();
    let name = &database.name;
    let read_only = format!("ALTER DATABASE {name} SET default_transaction_read_only = on");
    operator.execute(AssertSqlSafe(read_only)).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    operator.execute(end).await.unwrap();
    let write = async || sqlx::query("INSERT INTO written VALUES (1)").execute(&pool).await;
    eventually(SOON, "writes fail", async || {
        write().await.err().filter(|error| error.to_string().contains("read-only"))
    })
    .await;
    let writable = format!("ALTER DATABASE {name} RESET default_transaction_read_only");
    let mut other = database.options().database("postgres").connect().await.unwrap();
    other.execute(AssertSqlSafe(writable)).await.unwrap();
    eventually(SOON, "writes work", async || write().await).await;
    for _ in 0..2 * CONNECTIONS {
        write().await.unwrap();
    }
}

#[actix_rt::test]
async fn a_login_that_the_server_refuses_is_an_outage() {
    let database = create_database(&Servers::from_env().postgres_0, "login").await;
    let mut settings = settings(&database, &database.host_port);
    settings.user = "nobody_we_know".to_owned();
    let pool = Pool::new(&settings, &PoolSettings::new("login"));
    let error = DatabaseError::from(sqlx::query("SELECT 1").execute(&pool).await.unwrap_err());
    assert!(matches!(error, DatabaseError::Unavailable(_)), "{error}");
}

/// A single migration that takes `seconds`.
fn migrator(seconds: u32) -> Migrator {
    let sql = AssertSqlSafe(format!("SELECT pg_sleep({seconds})")).into_sql_str();
    let migration = Migration::new(1, "slow".into(), MigrationType::Simple, sql, false);
    Migrator { migrations: vec![migration].into(), ..Migrator::DEFAULT }
}

#[actix_rt::test]
async fn a_migration_whose_connection_dies_silently_is_begun_again() {
    let database = create_database(&Servers::from_env().postgres_0, "migrating").await;
    let proxy = Proxy::to(&database.host_port);
    let settings = settings(&database, &proxy.address());
    let migrator = migrator(2);
    let component = Health::new().component("database");
    let migrators = [&migrator];
    let preparing = prepare(&settings, &migrators, Migrations::Apply, &component);
    let dying = async {
        let mut observer = database.connect().await;
        let begun = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep%' AND state = 'active'";
        eventually(SOON, "the migration has begun", async || {
            sqlx::query_scalar::<_, i64>(begun).fetch_one(&mut observer).await.unwrap() == 1
        })
        .await;
        proxy.silence();
    };
    let (prepared, ()) =
        timeout(2 * SOON, join(preparing, dying)).await.expect("it is not waited for");
    prepared.unwrap();
}

#[actix_rt::test]
async fn a_long_migration_is_waited_for() {
    let database = create_database(&Servers::from_env().postgres_0, "long").await;
    let settings = settings(&database, &database.host_port);
    let component = Health::new().component("database");
    prepare(&settings, &[&migrator(7)], Migrations::Apply, &component).await.unwrap();
    let begun = "SELECT extract(epoch FROM execution_time * interval '1 second' / 1e9)::float8 > 6 FROM _sqlx_migrations";
    let once: Vec<bool> =
        sqlx::query_scalar(begun).fetch_all(&mut database.connect().await).await.unwrap();
    assert_eq!(once, [true]);
}
