//! Settings come from the environment and from a file; wrong ones stop the start, all at once.

use std::fmt::Write;

use dev::testing::{ServiceProcess, create_database, unique_topic};

use crate::support::{Env, Loms, Servers, free_port, new_user, run_to_end, run_with_files, set};

#[tokio::test]
async fn a_start_with_wrong_settings_names_them_all_and_fails() {
    let table = [
        (
            "cart",
            [
                ("HOST_PORT", "eighty"),
                ("MAX_RETRIES", "-1"),
                ("RETRY_DELAY_MS", "soon"),
                ("REQUESTS_PER_SECOND", "0"),
                ("REDIS_TTL_KEY", "5m"),
                ("REDIS_DB_INDEX", "first"),
                ("PRODUCT_SERVICE_BASE_URL", "not a url"),
            ]
            .as_slice(),
        ),
        (
            "loms",
            &[
                ("GRPC_HOST_PORT", ":99999"),
                ("HTTP_PORT", "x"),
                ("ORDER_PAYMENT_TTL", "soon"),
                ("INTERVAL_OUTBOX", "-1"),
                ("KAFKA_RETRY_MAX", "many"),
                ("MIGRATE_ON_START", "perhaps"),
            ],
        ),
        ("notifier", &[("HTTP_PORT", "70000"), ("MIGRATE_ON_START", "perhaps"), ("LOG_FORMAT", "xml")]),
        (
            "notifier",
            &[
                ("OTEL_TRACES_SAMPLER", "sometimes"),
                ("OTEL_TRACES_SAMPLER_ARG", "2"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ],
        ),
    ];
    for (binary, wrong) in table {
        let env: Env = wrong.iter().map(|(name, value)| set(name, value)).collect();
        let ended = run_to_end(binary, &[], &env).await;
        assert!(ended.code.is_some_and(|code| code != 0), "{binary}: {ended:?}");
        for (name, _) in wrong {
            assert!(ended.output.contains(name), "{binary} does not name {name}:\n{}", ended.output);
        }
    }
}

#[tokio::test]
async fn settings_may_come_from_a_file_with_underscores_and_comments() {
    let servers = Servers::from_env();
    let database = create_database(&servers.postgres_0, "loms").await;
    let topic = unique_topic(&servers.kafka, 2).await;
    let mut settings = database.master_env(0);
    settings.extend(Loms::addresses(free_port(), &servers.kafka, &topic.name));
    let (ports, settings): (Env, Env) = settings.into_iter().partition(|(name, _)| name == "HTTP_PORT");
    let mut file = String::from("# The order management.\nINTERVAL_OUTBOX=1_000_000_000 ### one second\n\n");
    for (name, value) in settings {
        writeln!(file, "{name}={value}").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loms.env");
    std::fs::write(&path, file).unwrap();
    let mut env = ports;
    env.push(set("ENV_PATH", path.display()));
    let mut loms = ServiceProcess::start("loms", &env).await;
    assert_eq!(loms.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn a_file_of_settings_that_is_not_there_is_a_wrong_setting() {
    for binary in ["cart", "loms", "notifier"] {
        let ended = run_to_end(binary, &[], &vec![set("ENV_PATH", "/nowhere/at/all.env")]).await;
        assert!(ended.code.is_some_and(|code| code != 0), "{binary}: {ended:?}");
        assert!(ended.output.contains("/nowhere/at/all.env"), "{binary}: {}", ended.output);
    }
}

#[tokio::test]
async fn a_port_that_is_taken_ends_the_start_with_its_number() {
    let servers = Servers::from_env();
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let env = [
        ("cart", vec![set("HOST_PORT", &port)]),
        ("loms", vec![set("HTTP_PORT", free_port()), set("GRPC_HOST_PORT", format!(":{port}"))]),
        ("notifier", vec![set("HTTP_PORT", &port)]),
    ];
    for (binary, mut env) in env {
        env.push(set("DATABASE_MASTER_HOST_PORT_0", &servers.postgres_0));
        env.push(set("KAFKA_BROKER", &servers.kafka));
        env.push(set("MIGRATE_ON_START", "false"));
        let ended = run_to_end(binary, &[], &env).await;
        assert!(ended.code.is_some_and(|code| code != 0), "{binary}: {ended:?}");
        assert!(ended.output.contains(&port), "{binary} does not name port {port}: {}", ended.output);
    }
}

#[tokio::test]
async fn variables_of_the_tools_of_postgresql_change_nothing() {
    let foreign = [
        set("PGOPTIONS", "-c default_transaction_read_only=on"),
        set("PGSSLMODE", "require"),
        set("PGHOST", "nowhere.invalid"),
        set("PGPASSWORD", "wrong"),
    ];
    let mut shop = Loms::start(&Servers::from_env(), foreign.to_vec()).await;
    let sku = shop.stock(1).await;
    shop.client().create(new_user(), &[(sku, 1)]).await.unwrap();
    assert_eq!(shop.process.terminate().await.code(), Some(0), "it is still the process that was started");
}

#[tokio::test]
async fn too_few_files_end_the_start_with_a_message() {
    for (binary, port) in [("cart", "HOST_PORT"), ("loms", "HTTP_PORT"), ("notifier", "HTTP_PORT")] {
        let env = vec![set(port, free_port()), set("GRPC_HOST_PORT", free_port())];
        let ended = run_with_files(binary, 100, &env).await;
        assert_eq!(ended.code, Some(1), "{binary}: {ended:?}");
        assert!(ended.output.contains("this process may open 100 files"), "{binary}: {}", ended.output);
    }
}
