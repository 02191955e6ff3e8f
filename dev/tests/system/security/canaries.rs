//! Secrets that are planted in every setting that takes one, while everything that could report
//! them fails, with the most detailed log.

use dev::testing::{Database, Issuer, ServiceProcess, create_database};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    Answer, Collector, Env, Rest, SOON, Servers, eventually, free_port, on_loopback, set,
};

/// Each secret contains it.
const CANARY: &str = "canary";

fn secret(of: &str) -> String {
    format!("{CANARY}-{of}-0123456789")
}

/// The settings of all services: a trace receiver that gets a secret, and a database that may refuse
/// one.
fn common(database: &Database, collector: &Collector, is_ready: bool) -> Env {
    let mut env = collector.settings();
    env.extend(database.master_env(0));
    env.extend([
        set("RUST_LOG", "trace"),
        set("OPERATIONS_HOST_PORT", on_loopback(free_port())),
        set("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization={}", secret("otlp"))),
    ]);
    if !is_ready {
        env.push(set("DATABASE_MASTER_PASSWORD_0", secret("database")));
    }
    env
}

/// What outsiders can read of a service. Its log is not among it.
async fn told(service: &ServiceProcess, requests: &[(Method, &str, &str)]) -> String {
    let rest = Rest::new(service.base_url());
    let mut told = Vec::new();
    for (method, path, token) in requests {
        let mut request = rest.request(method.clone(), path);
        if *method == Method::POST {
            request = request.body(json!({ "count": 1, "user": 1 }).to_string());
        }
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let answer = Answer::of(request).await;
        told.push(format!("{method} {path}: {:?} {}", answer.headers, answer.body));
    }
    told.push(rest.get("/openapi.json").await.body);
    let operations = Rest::new(service.operations_url());
    for path in ["/metrics", "/readyz"] {
        told.push(operations.get(path).await.body);
    }
    told.join("\n")
}

fn assert_silent(what: &str, text: &str, secrets: &[&str]) {
    for secret in secrets.iter().chain([&CANARY]) {
        let found = text.lines().find(|line| line.contains(secret));
        assert!(found.is_none(), "{what} tells {secret}: {found:?}");
    }
}

#[tokio::test]
async fn no_secret_of_a_setting_is_told_by_services_whose_databases_refuse_them() {
    no_secret_is_told(false).await;
}

#[tokio::test]
async fn no_secret_of_a_setting_is_told_by_services_that_work() {
    no_secret_is_told(true).await;
}

async fn no_secret_is_told(is_ready: bool) {
    let (servers, collector, issuer) =
        (Servers::from_env(), Collector::start().await, Issuer::new());
    let user_token = issuer.token("1", "");
    let service_token = issuer.token_file(CANARY, "shop.any-user");
    let service_secret = std::fs::read_to_string(&service_token).unwrap();
    let nobody = format!("127.0.0.1:{}", free_port());

    let mut databases = Vec::new();
    for prefix in ["cart", "loms", "notifier"] {
        databases.push(create_database(&servers.postgres_0, prefix).await);
    }
    let mut cart = common(&databases[0], &collector, is_ready);
    cart.extend(issuer.settings());
    cart.extend([
        set("HOST_PORT", on_loopback(free_port())),
        set("LOMS_BASE_URL", &nobody),
        set("LOMS_TOKEN_FILE", service_token.display()),
        set("PRODUCT_SERVICE_BASE_URL", format!("http://user:{}@{nobody}", secret("url"))),
        set("TOKEN", secret("token")),
        set("REDIS_ADDRESS", &servers.redis),
        set("REDIS_PASSWORD", secret("redis")),
    ]);
    let mut loms = common(&databases[1], &collector, is_ready);
    loms.extend(issuer.settings());
    loms.extend([
        set("HTTP_PORT", on_loopback(free_port())),
        set("GRPC_HOST_PORT", on_loopback(free_port())),
        set("DATABASE_REPLICA_HOST_PORT_0", &servers.postgres_replica_0),
        set("DATABASE_REPLICA_PASSWORD_0", secret("replica")),
    ]);
    let kafka = [
        set("KAFKA_BROKER", &servers.kafka),
        set("KAFKA_SECURITY_PROTOCOL", "sasl_plaintext"),
        set("KAFKA_SASL_USER", "shop"),
        set("KAFKA_SASL_PASSWORD", secret("kafka")),
    ];
    loms.extend(kafka.clone());
    let mut notifier = common(&databases[2], &collector, is_ready);
    if is_ready {
        // Without Kafka, the notifier is not ready.
        notifier.push(set("KAFKA_BROKER", &servers.kafka));
    } else {
        notifier.extend(kafka);
    }
    notifier.extend([
        set("HTTP_PORT", on_loopback(free_port())),
        set("NOTIFICATION_CHANNELS", "webhook,email"),
        set("WEBHOOK_URL", format!("http://{nobody}/{}", secret("webhook"))),
        set("WEBHOOK_ALLOW_PRIVATE", true),
        set("WEBHOOK_SECRET", "whsec_Y2FuYXJ5LXdlYmhvb2stMDEyMzQ1Njc4OQ=="),
        set("EMAIL_SMTP_HOST_PORT", &nobody),
        set("EMAIL_SMTP_USER", "shop"),
        set("EMAIL_SMTP_PASSWORD", secret("email")),
        set("EMAIL_FROM", "shop@example.com"),
        set("EMAIL_TO", "{user_id}@example.com"),
    ]);
    let wrong_token = format!("{CANARY}.of.a-caller");
    let requests = [
        (Method::GET, "/user/1/cart", user_token.as_str()),
        (Method::POST, "/user/1/cart/1002", &user_token),
        (Method::POST, "/cart/checkout", &user_token),
        (Method::GET, "/v1/orders/1000", &user_token),
        (Method::GET, "/v1/orders", &wrong_token),
        (Method::GET, "/user/2/cart", ""),
    ];
    let secrets = [user_token.as_str(), service_secret.as_str(), "whsec_", "Y2FuYXJ5"];
    // They stay until their spans have been exported.
    let mut running = Vec::new();
    for (binary, env) in [("cart", cart), ("loms", loms), ("notifier", notifier)] {
        let service = ServiceProcess::launch(binary, &env);
        let rest = Rest::new(service.operations_url());
        eventually(3 * SOON, "the service is ready, or says why not", async || {
            let answer = rest.request(Method::GET, "/readyz").send().await.ok()?;
            let is_success = answer.status().is_success();
            let body = answer.text().await.ok()?;
            let is_refused = body.contains("password authentication failed");
            (if is_ready { is_success } else { is_refused }).then_some(())
        })
        .await;
        let told = told(&service, &requests).await;
        assert_silent(&format!("an answer of {binary}"), &told, &secrets);
        let log = service.log();
        assert!(log.contains("TRACE"), "{binary} logs in detail");
        assert_silent(&format!("the log of {binary}"), &log, &secrets);
        running.push(service);
    }
    let spans = eventually(SOON, "spans arrive", async || {
        Some(collector.all()).filter(|spans| !is_ready || !spans.is_empty())
    })
    .await;
    for span in spans {
        assert_silent("a trace", &format!("{span:?}"), &secrets);
    }
}
