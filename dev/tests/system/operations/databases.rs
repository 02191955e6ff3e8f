//! Databases that belong to another service, or have another version.

use dev::testing::{Database, ServiceProcess, create_database};
use sqlx::Executor;

use crate::support::{
    Cart, Env, Loms, Notifier, Rest, SOON, Servers, eventually, free_port, run_to_end, set,
};

/// The first tables of the system that preceded this one.
const FOREIGN: &str = "
    create table goose_db_version (id int); create table orders (id bigint); create table items (order_id bigint);
    insert into orders values (7)";

fn addresses(binary: &str, servers: &Servers) -> Env {
    match binary {
        "loms" => Loms::addresses(free_port(), &servers.kafka, "loms.order-events"),
        "cart" => Cart::addresses(&servers.redis, 1, "http://127.0.0.1:1"),
        _ => Notifier::addresses(&servers.kafka, "loms.order-events"),
    }
}

async fn tables(database: &Database) -> Vec<String> {
    let query =
        "select relname::text from pg_class where relnamespace = 'public'::regnamespace order by 1";
    sqlx::query_scalar(query).fetch_all(&mut database.connect().await).await.unwrap()
}

#[tokio::test]
async fn a_database_of_somebody_else_is_named_and_left_alone() {
    let servers = Servers::from_env();
    for binary in ["loms", "cart", "notifier"] {
        let database = create_database(&servers.postgres_0, "foreign").await;
        database.connect().await.execute(FOREIGN).await.unwrap();
        let before = tables(&database).await;
        let env = [database.master_env(0), addresses(binary, &servers)].concat();
        for args in [&[][..], &["migrate"]] {
            let ended = run_to_end(binary, args, &env).await;
            assert_eq!(ended.code, Some(1), "{binary} {args:?}: {}", ended.output);
            for told in [
                database.name.as_str(),
                "belongs to another program",
                "goose_db_version, items, orders",
            ] {
                assert!(
                    ended.output.contains(told),
                    "{binary} {args:?} does not say {told}: {}",
                    ended.output
                );
            }
        }
        assert_eq!(tables(&database).await, before, "{binary}");
    }
}

#[tokio::test]
async fn the_database_of_another_service_is_not_taken() {
    let servers = Servers::from_env();
    let database = create_database(&servers.postgres_0, "mixed_up").await;
    let env = database.master_env(0);
    let migrated = run_to_end("notifier", &["migrate"], &env).await;
    assert_eq!(migrated.code, Some(0), "{}", migrated.output);
    for binary in ["cart", "loms"] {
        let ended = run_to_end(binary, &["migrate"], &env).await;
        assert_eq!(ended.code, Some(1), "{binary}: {}", ended.output);
        assert!(
            ended.output.contains("the schema of another program"),
            "{binary}: {}",
            ended.output
        );
    }
}

#[tokio::test]
async fn a_version_starts_beside_the_schema_of_the_next_one() {
    let servers = Servers::from_env();
    for binary in ["loms", "cart", "notifier"] {
        let database = create_database(&servers.postgres_0, binary).await;
        let env = [database.master_env(0), addresses(binary, &servers)].concat();
        let migrated = run_to_end(binary, &["migrate"], &env).await;
        assert_eq!(migrated.code, Some(0), "{binary}: {}", migrated.output);
        let newer =
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
            values (9999, 'of the next version', true, '\\x00', 0)";
        database.connect().await.execute(newer).await.unwrap();
        let mut service = ServiceProcess::launch(binary, &env);
        let database_is_ready = async || {
            let report = Rest::new(service.base_url()).get("/readyz").await.json();
            let parts = report["components"].as_array()?.clone();
            let ready = parts
                .iter()
                .any(|part| part["name"].as_str() == Some(name(binary)) && part["ready"] == true);
            ready.then_some(())
        };
        eventually(SOON, "the port is open", async || {
            Rest::new(service.base_url())
                .request(reqwest::Method::GET, "/livez")
                .send()
                .await
                .map(drop)
        })
        .await;
        eventually(SOON, &format!("{binary} takes the database"), database_is_ready).await;
        assert_eq!(service.terminate().await.code(), Some(0), "{binary}");
    }
}

fn name(binary: &str) -> &'static str {
    if binary == "notifier" { "postgres" } else { "postgres shard 0" }
}

#[tokio::test]
async fn a_start_says_that_it_waits_for_another_migration() {
    let servers = Servers::from_env();
    let database = create_database(&servers.postgres_0, "notifier").await;
    let env = [database.master_env(0), addresses("notifier", &servers)].concat();
    let migrated = run_to_end("notifier", &["migrate"], &env).await;
    assert_eq!(migrated.code, Some(0), "{}", migrated.output);
    let mut other = database.connect().await;
    other.execute("begin; lock table _sqlx_migrations in access exclusive mode").await.unwrap();
    let service = ServiceProcess::launch("notifier", &env);
    eventually(SOON, "it says so", async || service.log().contains("another process is migrating"))
        .await;
    other.execute("rollback").await.unwrap();
    eventually(SOON, "it goes on", async || {
        let report = Rest::new(service.base_url()).get("/readyz").await.json();
        report["components"][0]["ready"].as_bool().filter(|ready| *ready)
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_said_loudly() {
    let servers = Servers::from_env();
    let database = create_database(&servers.postgres_0, "login").await;
    let mut env = [database.master_env(0), addresses("notifier", &servers)].concat();
    env.retain(|(name, _)| name != "DATABASE_MASTER_USER_0");
    env.push(set("DATABASE_MASTER_USER_0", "nobody_we_know"));
    let service = ServiceProcess::launch("notifier", &env);
    eventually(SOON, "it says so", async || {
        let log = service.log();
        let line = log.lines().find(|line| line.contains("the database refuses the login"))?;
        assert!(line.contains("ERROR"), "{line}");
        Some(())
    })
    .await;
}
