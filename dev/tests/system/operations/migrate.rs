//! `<binary> migrate` prepares the databases and does nothing else.

use std::net::TcpListener;

use dev::testing::{Database, ServiceProcess, Topic, create_database, unique_topic};

use crate::support::{Cart, Env, Loms, Notifier, Servers, free_port, on_loopback, run_to_end, set};

async fn tables(database: &Database) -> Vec<String> {
    let query = "select table_name::text from information_schema.tables where table_schema = 'public' order by table_name";
    sqlx::query_scalar(query).fetch_all(&mut database.connect().await).await.unwrap()
}

#[tokio::test]
async fn loms_migrates_and_then_runs_without_migrating() {
    let (servers, topic) = servers_and_topic().await;
    let shards = databases(&servers, "loms").await;
    let env = [shards[0].master_env(0), shards[1].master_env(1)].concat();
    migrate("loms", &env).await;
    let (first, second) = (tables(&shards[0]).await, tables(&shards[1]).await);
    assert!(
        first.contains(&"stock".to_owned()) && first.contains(&"orders".to_owned()),
        "{first:?}"
    );
    assert!(second.contains(&"orders".to_owned()), "{second:?}");
    run("loms", env, Loms::addresses(free_port(), &servers.kafka, &topic.name)).await;
}

#[tokio::test]
async fn cart_migrates_and_then_runs_without_migrating() {
    let (servers, _) = servers_and_topic().await;
    let shards = databases(&servers, "cart").await;
    let env = [shards[0].master_env(0), shards[1].master_env(1)].concat();
    migrate("cart", &env).await;
    assert_eq!(tables(&shards[0]).await, tables(&shards[1]).await);
    run("cart", env, Cart::addresses(&servers.redis, 1, "http://127.0.0.1:1")).await;
}

#[tokio::test]
async fn notifier_migrates_and_then_runs_without_migrating() {
    let (servers, topic) = servers_and_topic().await;
    let database = create_database(&servers.postgres_0, "notifier").await;
    let env = database.master_env(0);
    migrate("notifier", &env).await;
    assert!(tables(&database).await.len() > 1);
    run("notifier", env, Notifier::addresses(&servers.kafka, &topic.name)).await;
}

async fn servers_and_topic() -> (Servers, Topic) {
    let servers = Servers::from_env();
    let topic = unique_topic(&servers.kafka, 2).await;
    (servers, topic)
}

async fn databases(servers: &Servers, prefix: &str) -> [Database; 2] {
    [
        create_database(&servers.postgres_0, prefix).await,
        create_database(&servers.postgres_1, prefix).await,
    ]
}

/// Migrates twice, which must have the same result as once. Migrating must not listen anywhere, so
/// ports that are taken do not matter.
async fn migrate(binary: &str, env: &Env) {
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let busy =
        ["HTTP_PORT", "HOST_PORT", "GRPC_HOST_PORT"].map(|name| set(name, on_loopback(port)));
    let env: Env = env.iter().cloned().chain(busy).collect();
    for time in ["first", "second"] {
        let ended = run_to_end(binary, &["migrate"], &env).await;
        assert_eq!(ended.code, Some(0), "{binary}, the {time} time: {}", ended.output);
    }
}

/// Starts the service without migrations, so it must find everything migrated, and stops it.
async fn run(binary: &str, mut env: Env, addresses: Env) {
    env.extend(addresses);
    env.push(set("MIGRATE_ON_START", "false"));
    let mut service = ServiceProcess::start(binary, &env).await;
    assert_eq!(service.terminate().await.code(), Some(0), "{binary}");
}

#[tokio::test]
async fn services_that_start_at_once_on_an_empty_database_all_become_ready() {
    let servers = Servers::from_env();
    let database = create_database(&servers.postgres_0, "notifier").await;
    let topic = unique_topic(&servers.kafka, 2).await;
    let start = async || {
        let mut env = database.master_env(0);
        env.extend(Notifier::addresses(&servers.kafka, &topic.name));
        ServiceProcess::start("notifier", &env).await
    };
    let (first, second, third) = tokio::join!(start(), start(), start());
    drop((first, second, third));
}
