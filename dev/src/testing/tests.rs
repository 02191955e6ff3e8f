//! Tests of the test helpers themselves, on the real servers.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, Executor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::stack::postgres::connect;

const SOON: Duration = Duration::from_secs(20);

fn port(host_port: &str) -> u16 {
    host_port.rsplit(':').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_database_of_shard_0_comes_to_the_replica_and_vanishes_when_dropped() {
    let servers = Servers::from_env();
    let database = create_database(&servers.postgres_0, "helpers").await;
    database
        .connect()
        .await
        .execute("create table seen (id int); insert into seen values (7)")
        .await
        .unwrap();
    let replica = port(&servers.postgres_replica_0);
    let seen = eventually(SOON, "the row is on the replica", async || {
        let mut connection = connect(replica, &database.name).await?;
        anyhow::Ok(
            sqlx::query_scalar::<_, i32>("select id from seen").fetch_one(&mut connection).await?,
        )
    });
    assert_eq!(seen.await, 7);
    let name = database.name.clone();
    drop(database);
    let mut connection = connect(port(&servers.postgres_0), "postgres").await.unwrap();
    let left = sqlx::query_scalar("select count(*) from pg_database where datname = $1").bind(name);
    let left: i64 = left.fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_topic_has_its_partitions_and_vanishes_when_dropped() {
    let servers = Servers::from_env();
    let admin = crate::stack::kafka::admin_client(&servers.kafka).unwrap();
    let partitions = |name: &str| {
        let metadata = admin.inner().fetch_metadata(None, SOON).unwrap();
        metadata
            .topics()
            .iter()
            .find(|topic| topic.name() == name)
            .map(|topic| topic.partitions().len())
    };
    let topic = unique_topic(&servers.kafka, 3).await;
    let found = eventually(SOON, "the topic is there", async || partitions(&topic.name));
    assert_eq!(found.await, 3);
    let name = topic.name.clone();
    drop(topic);
    eventually(SOON, "the topic is gone", async || partitions(&name).is_none()).await;
}

#[tokio::test]
async fn the_stand_in_answers_by_the_contract_and_counts_its_calls() {
    let stand_in = ProductStandIn::start().unwrap();
    let url = format!("{}/get_product", stand_in.base_url());
    let ask = async |body: serde_json::Value| {
        let response = http_client().post(&url).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json::<serde_json::Value>().await.unwrap())
    };
    let (status, product) = ask(json!({"token": "testtoken", "sku": "1003"})).await;
    assert_eq!(
        (status, product),
        (200, json!({"name": "Enamel mug Northlight, 350 ml", "price": 890}))
    );
    assert_eq!(ask(json!({"token": "testtoken", "sku": "9"})).await.0, 404);
    assert_eq!(ask(json!({"token": "testtoken", "sku": "4294967296"})).await.0, 404);
    assert_eq!(ask(json!({"token": "wrong", "sku": "1003"})).await.0, 401);
    assert_eq!(ask(json!({"token": "testtoken"})).await.0, 400);
    stand_in.controls().fail_next(2, 420);
    assert_eq!(ask(json!({"token": "testtoken", "sku": "1003"})).await.0, 420);
    assert_eq!(ask(json!({"token": "testtoken", "sku": "1003"})).await.0, 420);
    assert_eq!(ask(json!({"token": "testtoken", "sku": "1003"})).await.0, 200);
    assert_eq!(stand_in.calls(), 8);
    assert_eq!(stand_in.controls().calls()[1].sku, "9");
    stand_in.stop();
    assert!(http_client().get(&url).send().await.is_err());
}

#[tokio::test]
async fn a_service_process_becomes_ready_restarts_after_a_kill_and_ends_by_sigterm() {
    let env = [("HTTP_PORT", free_port().to_string())];
    let mut service = ServiceProcess::start("product-stand-in", &env).await;
    service.kill9();
    assert!(http_client().get(service.base_url()).send().await.is_err());
    service.restart().await;
    assert_eq!(service.log().matches("product stand-in on").count(), 2);
    assert!(service.terminate().await.success());
}

/// A server that echoes each byte.
async fn echo() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = client.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

/// Whether a byte is echoed within 300 ms. An error if the connection has ended.
async fn echoes(connection: &mut TcpStream) -> std::io::Result<bool> {
    connection.write_all(b"?").await?;
    let answer = tokio::time::timeout(Duration::from_millis(300), connection.read_u8()).await;
    answer.map_or(Ok(false), |byte| byte.map(|byte| byte == b'?'))
}

#[tokio::test]
async fn a_proxy_forwards_until_it_silences_cuts_or_refuses() {
    let proxy = Proxy::to(&echo().await);
    let connect = async || TcpStream::connect(proxy.address()).await.unwrap();
    let mut first = connect().await;
    assert!(echoes(&mut first).await.unwrap());
    proxy.silence();
    assert!(
        !echoes(&mut first).await.unwrap(),
        "a silenced connection stays open and says nothing"
    );
    let mut second = connect().await;
    assert!(echoes(&mut second).await.unwrap(), "a new connection is served");
    proxy.cut();
    assert!(echoes(&mut second).await.is_err(), "a connection that was cut has ended");
    proxy.refuse();
    assert!(echoes(&mut connect().await).await.is_err(), "a refused connection ends at once");
    proxy.silence_all();
    let mut silent = connect().await;
    assert!(!echoes(&mut silent).await.unwrap());
    proxy.heal();
    assert!(!echoes(&mut silent).await.unwrap(), "what was silenced stays silent");
    assert!(echoes(&mut connect().await).await.unwrap());
    assert_eq!(proxy.accepted(), 5);
}
