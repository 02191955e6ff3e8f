//! The notifier as it ships: its log line, its port, its shutdown.

use std::process::Command;
use std::time::Duration;

use dev::testing::{ServiceProcess, eventually, free_port, http_client};
use kafka_actors::Headers;

use crate::support::{SOON, World, event};

#[actix::test]
async fn it_prints_one_line_an_event_with_its_trace_and_ends_when_told() {
    let world = World::new().await;
    let mut env = world.env("one");
    env.retain(|(name, _)| name != "HTTP_PORT" && name != "DATABASE_MASTER_NAME_0");
    env.push(("HTTP_PORT".to_owned(), free_port().to_string()));
    // A database that does not exist yet.
    let database = format!("{}_new", world.database.name);
    env.push(("DATABASE_MASTER_NAME_0".to_owned(), database.clone()));
    let mut notifier = ServiceProcess::start("notifier", &env).await;

    let happened = event(1000, 2, "AWAITING_PAYMENT");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let headers = Headers::new().with("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    let record = world.record(&happened).with_headers(headers);
    world.producer.publish(vec![record.clone(), record]).await.unwrap();
    let text = "order 1000 of user 7 is now AWAITING_PAYMENT (event 2): 2 x sku 1002";
    let lines = || {
        let log = notifier.log();
        log.lines().filter(|line| line.contains(text)).map(str::to_owned).collect::<Vec<String>>()
    };
    eventually(SOON, "the line is there", async || !lines().is_empty()).await;
    let event_id = happened["eventId"].as_str().unwrap();
    assert!(lines()[0].contains(trace) && lines()[0].contains(event_id), "{:?}", lines());

    let base_url = notifier.base_url();
    let get =
        async |path: &str| http_client().get(format!("{base_url}{path}")).send().await.unwrap();
    assert_eq!(get("/livez").await.status(), 200);
    assert_eq!(get("/openapi.json").await.status(), 200);
    assert_eq!(get("/swagger-ui/").await.status(), 200);
    assert_eq!(get("/nowhere").await.status(), 404);
    let samples = [
        r#"notifications_total{channel="log",outcome="sent"} 1"#.to_owned(),
        r#"events_received_total{outcome="duplicate"} 1"#.to_owned(),
        format!(r#"kafka_consumer_records_total{{outcome="ok",topic="{}"}} 2"#, world.topic.name),
        format!(r#"kafka_consumer_lag{{partition="0",topic="{}"}} 0"#, world.topic.name),
        format!(r#"kafka_consumer_lag{{partition="1",topic="{}"}} 0"#, world.topic.name),
    ];
    eventually(Duration::from_secs(10), "the metrics say so", async || {
        let metrics = get("/metrics").await.text().await.unwrap();
        let missing: Vec<&String> =
            samples.iter().filter(|sample| !metrics.contains(sample.as_str())).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?}")) }
    })
    .await;

    assert_eq!(lines().len(), 1, "{:?}", lines());
    assert_eq!(notifier.terminate().await.code(), Some(0));
    let mut connection = world.database.connect().await;
    let drop_it = sqlx::AssertSqlSafe(format!("drop database {database} with (force)"));
    sqlx::query(drop_it).execute(&mut connection).await.unwrap();
}

#[test]
fn wrong_settings_are_told_at_once() {
    let output = Command::new(env!("CARGO_BIN_EXE_notifier"))
        .env_clear()
        .envs([("KAFKA_RETRY_MAX", "many"), ("EVENT_MAX_BYTES", "1")])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("KAFKA_RETRY_MAX") && said.contains("EVENT_MAX_BYTES"), "{said}");
}
