//! Settings come from the environment and from a file; wrong ones stop the start, all at once.

use std::fmt::Write;

use dev::testing::{ServiceProcess, create_database, unique_topic};

use crate::support::{
    Env, Loms, Servers, Settings, Shop, free_port, new_user, on_loopback, run_in_folder,
    run_in_shell, run_to_end, set,
};

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
        (
            "notifier",
            &[("HTTP_PORT", "70000"), ("MIGRATE_ON_START", "perhaps"), ("LOG_FORMAT", "xml")],
        ),
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
            assert!(
                ended.output.contains(name),
                "{binary} does not name {name}:\n{}",
                ended.output
            );
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
    let (ports, settings): (Env, Env) =
        settings.into_iter().partition(|(name, _)| name == "HTTP_PORT");
    let mut file =
        String::from("# The order management.\nINTERVAL_OUTBOX=1_000_000_000 ### one second\n\n");
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
async fn a_file_in_the_working_directory_is_read_and_its_secrets_are_never_shown() {
    for binary in ["cart", "loms", "notifier"] {
        let file = "DATABASE_MASTER_PASSWORD_0=hid$den\nDATABASE_MAX_CONNECTIONS=redis://me:hid$den@shop\n";
        let ended = run_in_folder(binary, &[(".env", file)], &Env::new()).await;
        assert_eq!(ended.code, Some(1), "{binary}: {ended:?}");
        assert!(
            ended.output.contains("DATABASE_MAX_CONNECTIONS=\"redis://***@shop\""),
            "{}",
            ended.output
        );
        assert!(!ended.output.contains("hid"), "{binary}: {}", ended.output);

        let ended = run_in_folder(binary, &[(".env", "B=1\nhid$den\n")], &Env::new()).await;
        assert_eq!(ended.code, Some(1), "{binary}: {ended:?}");
        assert!(
            ended.output.contains("./.env") && ended.output.contains("line 2"),
            "{}",
            ended.output
        );
        assert!(!ended.output.contains("hid"), "{binary}: {}", ended.output);

        // ENV_PATH comes before it.
        let files = [
            (".env", "MIGRATE_ON_START=perhaps\n"),
            ("other.env", "DATABASE_MAX_CONNECTIONS=many\n"),
        ];
        let ended = run_in_folder(binary, &files, &vec![set("ENV_PATH", "other.env")]).await;
        assert_eq!(ended.code, Some(1), "{binary}: {ended:?}");
        assert!(ended.output.contains("DATABASE_MAX_CONNECTIONS=\"many\""), "{}", ended.output);
        assert!(!ended.output.contains("MIGRATE_ON_START"), "{}", ended.output);
    }
}

#[tokio::test]
async fn a_value_that_is_not_utf_8_is_named() {
    for binary in ["cart", "loms", "notifier"] {
        let script =
            format!("export DATABASE_MASTER_PASSWORD_0=$(printf 'hid\\377'); exec {binary}");
        let ended = run_in_shell(binary, &script).await;
        assert_eq!(ended.code, Some(1), "{binary}: {ended:?}");
        let expected = "DATABASE_MASTER_PASSWORD_0: expected UTF-8 text";
        assert!(
            ended.output.contains(expected) && !ended.output.contains("hid"),
            "{}",
            ended.output
        );
    }
}

#[tokio::test]
async fn a_variable_that_is_nearly_a_setting_is_a_wrong_setting() {
    for binary in ["cart", "loms", "notifier"] {
        let ended = run_to_end(binary, &[], &vec![set("DATABASE_MAX_CONNECTION", "3")]).await;
        assert_eq!(ended.code, Some(1), "{binary}: {ended:?}");
        let expected = "DATABASE_MAX_CONNECTION: expected the name DATABASE_MAX_CONNECTIONS";
        assert!(ended.output.contains(expected), "{}", ended.output);
    }
}

#[tokio::test]
async fn a_log_filter_that_would_hide_every_line_is_a_wrong_setting() {
    for binary in ["cart", "loms", "notifier"] {
        let ended = run_to_end(binary, &[], &vec![set("RUST_LOG", "nonsense")]).await;
        assert_eq!(ended.code, Some(1), "{binary}: {ended:?}");
        assert!(
            ended.output.contains("RUST_LOG=\"nonsense\": expected a filter"),
            "{}",
            ended.output
        );
    }
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
    let port = taken.local_addr().unwrap().port();
    let address = on_loopback(port);
    let env = [
        ("cart", vec![set("HOST_PORT", &address)]),
        ("loms", vec![set("HTTP_PORT", on_loopback(free_port())), set("GRPC_HOST_PORT", &address)]),
        ("notifier", vec![set("HTTP_PORT", &address)]),
    ];
    for (binary, mut env) in env {
        env.push(set("DATABASE_MASTER_HOST_PORT_0", &servers.postgres_0));
        env.push(set("KAFKA_BROKER", &servers.kafka));
        env.push(set("MIGRATE_ON_START", "false"));
        let ended = run_to_end(binary, &[], &env).await;
        assert!(ended.code.is_some_and(|code| code != 0), "{binary}: {ended:?}");
        assert!(
            ended.output.contains(&format!("cannot listen on {address}")),
            "{binary} does not name port {port}: {}",
            ended.output
        );
    }
}

#[tokio::test]
async fn variables_of_other_tools_change_nothing() {
    let foreign = [
        set("PGOPTIONS", "-c default_transaction_read_only=on"),
        set("PGSSLMODE", "require"),
        set("PGHOST", "nowhere.invalid"),
        set("PGPASSWORD", "wrong"),
        set("HTTP_PROXY", "http://127.0.0.1:1"),
        set("https_proxy", "http://127.0.0.1:1"),
        set("ALL_PROXY", "socks5://127.0.0.1:1"),
    ];
    let foreign: Env = foreign.to_vec();
    let shop = Shop::start(&Servers::from_env(), Settings::of_all(&foreign)).await;
    let sku = shop.loms.stock_product(1).await;
    let cart = shop.cart.client();
    let user = new_user();
    cart.add(user, sku, 1).await.expect(200);
    let order = cart.checkout(user).await.expect(200).json()["orderID"].as_i64().unwrap();
    shop.notifier.tells(order, "AWAITING_PAYMENT").await;
}

#[tokio::test]
async fn too_few_files_end_the_start_with_a_message() {
    for (binary, port) in [("cart", "HOST_PORT"), ("loms", "HTTP_PORT"), ("notifier", "HTTP_PORT")]
    {
        let ports = format!(
            "export {port}={} GRPC_HOST_PORT={}",
            on_loopback(free_port()),
            on_loopback(free_port())
        );
        let ended = run_in_shell(binary, &format!("{ports}; ulimit -n 100 && exec {binary}")).await;
        assert_eq!(ended.code, Some(1), "{binary}: {ended:?}");
        assert!(ended.output.contains("the open-file limit is 100"), "{binary}: {}", ended.output);
    }
}
