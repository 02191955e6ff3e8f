//! A shop in which every connection is encrypted.

use dev::stack::kafka::Secured;
use dev::stack::postgres;
use dev::testing::{Certificate, ServiceProcess, TlsTerminator};
use sqlx::Connection;

use crate::support::{
    Authority, Cart, Collector, Env, Kind, Loms, Notifier, PrivateServers, ProductStandIn, Rest,
    SOON, Servers, eventually, free_port, new_user, on_loopback, set,
};

const USER: &str = "shop";
const PASSWORD: &str = "a password of this test";

/// The settings of a service that serves and connects only with TLS.
fn settings(authority: &Authority, certificate: &Certificate, clients: bool) -> Env {
    let ca = authority.file().display().to_string();
    let mut env = vec![
        set("TLS_CERT_FILE", certificate.file.display()),
        set("TLS_KEY_FILE", certificate.key.display()),
        set("OPERATIONS_HOST_PORT", on_loopback(free_port())),
        set("DATABASE_TLS", true),
        set("DATABASE_CA_FILE", &ca),
    ];
    if clients {
        env.push(set("TLS_CLIENT_CA_FILE", &ca));
    }
    env
}

fn kafka_settings(authority: &Authority, port: u16) -> Env {
    vec![
        set("KAFKA_BROKER", format!("127.0.0.1:{port}")),
        set("KAFKA_SECURITY_PROTOCOL", "sasl_ssl"),
        set("KAFKA_CA_FILE", authority.file().display()),
        set("KAFKA_SASL_USER", USER),
        set("KAFKA_SASL_PASSWORD", PASSWORD),
    ]
}

fn traces_settings(authority: &Authority, collector: &TlsTerminator, protocol: &str) -> Env {
    vec![
        set("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        set("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        set("OTEL_EXPORTER_OTLP_CERTIFICATE", authority.file().display()),
        set("OTEL_BSP_SCHEDULE_DELAY", "100"),
    ]
}

/// How many sessions of services the server has: with and without TLS.
async fn sessions(servers: &Servers) -> (i64, i64) {
    let port = servers.postgres_0.rsplit_once(':').unwrap().1.parse().unwrap();
    let mut connection = postgres::connect(port, "postgres").await.unwrap();
    let query = "select count(*) filter (where ssl), count(*) filter (where not ssl)
        from pg_stat_ssl join pg_stat_activity using (pid) where application_name <> ''";
    let counts = sqlx::query_as(query).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    counts
}

#[tokio::test]
async fn an_order_is_placed_and_notified_with_tls_on_every_hop_and_no_stranger_is_trusted() {
    let authority = Authority::new();
    let certificate = authority.sign("server");
    let private = PrivateServers::prepare();
    let keystore = certificate.file.with_file_name("keystore.pem");
    let both = [&certificate.key, &certificate.file].map(|file| std::fs::read(file).unwrap());
    std::fs::write(&keystore, both.concat()).unwrap();
    let secured = Secured {
        port: free_port(),
        keystore,
        user: USER.to_owned(),
        password: PASSWORD.to_owned(),
    };
    let kafka_port = secured.port;
    let (_postgres, (_redis, redis_port), _kafka) = tokio::try_join!(
        private.postgres(),
        private.encrypted_redis(&certificate),
        private.secured_kafka(secured),
    )
    .unwrap();
    private.encrypt_postgres(&certificate).await;
    let mut servers = private.in_place_of(&[Kind::Postgres, Kind::Redis, Kind::Kafka]);
    servers.postgres_1.clone_from(&servers.postgres_0);
    let products = ProductStandIn::start().unwrap();
    let encrypted = |url: &str, protocol: &str| {
        TlsTerminator::before(url.trim_start_matches("http://"), protocol, &certificate)
    };
    let catalogue = encrypted(products.base_url(), "http/1.1");
    let (over_grpc, over_http) = (Collector::start().await, Collector::start_http());
    let grpc_collector = encrypted(&over_grpc.address(), "h2");
    let http_collector = encrypted(&over_http.address(), "http/1.1");

    let mut env = settings(&authority, &certificate, true);
    env.extend(kafka_settings(&authority, kafka_port));
    env.extend(traces_settings(&authority, &grpc_collector, "grpc"));
    let loms = Loms::start(&servers, env).await;

    let client = authority.sign("cart");
    let mut env = settings(&authority, &certificate, false);
    env.extend(traces_settings(&authority, &http_collector, "http/protobuf"));
    env.extend([
        set("LOMS_BASE_URL", format!("https://localhost:{}", loms.grpc_port)),
        set("LOMS_CA_FILE", authority.file().display()),
        set("LOMS_CLIENT_CERT_FILE", client.file.display()),
        set("LOMS_CLIENT_KEY_FILE", client.key.display()),
        set("PRODUCT_SERVICE_CA_FILE", authority.file().display()),
        set("REDIS_ADDRESS", format!("rediss://127.0.0.1:{redis_port}")),
        set("REDIS_CA_FILE", authority.file().display()),
    ]);
    let cart_env = env.clone();
    let cart = Cart::start(&servers, loms.grpc_port, &catalogue.url(), env).await;

    let mut env = settings(&authority, &certificate, false);
    env.extend(kafka_settings(&authority, kafka_port));
    let notifier = Notifier::start(&servers, &loms.topic.name, env).await;

    let (user, sku) = (new_user(), loms.stock_product(10).await);
    let rest = Rest::trusting(&authority, cart.process.base_url());
    let line = serde_json::json!({ "count": 2 });
    rest.post(&format!("/user/{user}/cart/{sku}"), line).await.expect(200);
    let order = rest.post("/cart/checkout", serde_json::json!({ "user": user })).await.expect(200);
    let order = order.json()["orderID"].as_i64().unwrap();
    notifier.tells(order, "AWAITING_PAYMENT").await;
    assert_eq!(products.calls(), 1);
    let operations = Rest::new(cart.process.operations_url());
    for part in ["redis", "loms"] {
        eventually(SOON, &format!("{part} is ready"), async || {
            let report = operations.get("/readyz").await.expect(200).json();
            let parts = report["components"].as_array().unwrap();
            let is_ready = parts.iter().any(|one| one["name"] == part && one["ready"] == true);
            if is_ready { Ok(()) } else { Err(report) }
        })
        .await;
    }
    eventually(SOON, "spans arrive by both protocols", async || {
        !over_grpc.all().is_empty() && !over_http.all().is_empty()
    })
    .await;
    let (with_tls, without) = sessions(&servers).await;
    assert!(with_tls > 3 && without == 0, "{with_tls} sessions with TLS, {without} without");

    // The same servers, for services that trust another authority.
    let other = Authority::new();
    let distrust = |name: &str| set(name, other.file().display());
    let own_port = || set("OPERATIONS_HOST_PORT", on_loopback(free_port()));
    let fresh = loms.stock_product(10).await;
    let env = [cart_env.clone(), vec![distrust("PRODUCT_SERVICE_CA_FILE"), own_port()]].concat();
    let cart = Cart::start(&servers, loms.grpc_port, &catalogue.url(), env).await;
    let rest = Rest::trusting(&authority, cart.process.base_url());
    let line = serde_json::json!({ "count": 1 });
    let refused = rest.post(&format!("/user/{user}/cart/{fresh}"), line).await;
    assert!((502..=504).contains(&refused.status), "{refused:?}");
    assert_eq!(products.calls(), 1);
    let untrusted = vec![distrust("LOMS_CA_FILE"), distrust("REDIS_CA_FILE"), own_port()];
    let env = [cart_env, untrusted].concat();
    let cart = Cart::start(&servers, loms.grpc_port, &catalogue.url(), env).await;
    is_not_trusted("redis", &cart.process).await;
    is_not_trusted("loms", &cart.process).await;
    let process = loms.launch_another(vec![distrust("DATABASE_CA_FILE"), own_port()]);
    is_not_trusted("postgres", &process).await;
    let env = vec![distrust("KAFKA_CA_FILE"), own_port(), set("RUST_LOG", "librdkafka=debug")];
    let process = notifier.launch_another(env);
    eventually(SOON, "Kafka is not trusted", async || {
        let log = process.log();
        if log.contains("certificate verify failed") { Ok(()) } else { Err(log) }
    })
    .await;
}

/// Waits until the service says that it does not trust the certificate of this part.
async fn is_not_trusted(part: &str, service: &ServiceProcess) {
    let operations = Rest::new(service.operations_url());
    eventually(SOON, &format!("{part} is not trusted"), async || {
        let answer = operations.request(reqwest::Method::GET, "/readyz").send().await;
        let report: serde_json::Value =
            answer.map_err(|error| error.to_string())?.json().await.unwrap();
        let is_meant = |one: &&serde_json::Value| one["name"].as_str().unwrap().starts_with(part);
        let reason = report["components"].as_array().unwrap().iter().find(is_meant);
        let reason = reason.map(|one| one["reason"].to_string().to_lowercase()).unwrap_or_default();
        if reason.contains("certificate") { Ok(()) } else { Err(report.to_string()) }
    })
    .await;
}
