//! Servers that refuse logins. A wrong password is reported as such, because waiting alone would not
//! help.

use dev::testing::{Database, Fault, Servers, ServiceProcess, create_database};
use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use crate::support::{Loms, Rest, SOON, Settings, Shop, eventually, free_port, new_user_on};

const WRONG: &str = "not-the-password";

#[tokio::test]
async fn a_wrong_password_is_told_loudly_and_as_such() {
    let servers = Servers::from_env();
    let database = create_database(&servers.postgres_1, "loms").await;
    let mut env = database.master_env(0);
    env.extend(Loms::addresses(free_port(), &servers.kafka, "loms.order-events"));
    env.retain(|(name, _)| name != "DATABASE_MASTER_PASSWORD_0");
    env.push(("DATABASE_MASTER_PASSWORD_0".to_owned(), WRONG.to_owned()));
    let loms = ServiceProcess::launch("loms", &env);

    let rest = Rest::new(loms.base_url());
    eventually(SOON, "loms listens", async || {
        rest.request(reqwest::Method::GET, "/livez").send().await.map(drop)
    })
    .await;
    eventually(SOON, "readiness tells why", async || {
        let answer = rest.get("/readyz").await;
        if answer.body.contains("authentication failed") { Ok(()) } else { Err(answer.body) }
    })
    .await;
    let told = |line: &str| line.contains("ERROR") && line.contains("authentication failed");
    eventually(SOON, "the log tells why", async || {
        let log = loms.log();
        if log.lines().any(told) { Ok(()) } else { Err(log) }
    })
    .await;
    assert!(!loms.log().contains(WRONG), "the log holds the password");
}

/// Lets the server accept sessions with the database, or refuse them and end those that exist.
async fn accept_sessions(database: &Database, accept: bool) {
    let mut operator = database.options().database("postgres").connect().await.unwrap();
    let name = &database.name;
    let statement = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {accept}");
    operator.execute(AssertSqlSafe(statement)).await.unwrap();
    if !accept {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
        sqlx::query(end).bind(name).execute(&mut operator).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_refuses_logins_for_a_while_is_unavailable_and_no_defect() {
    let shop = Shop::start(&Servers::from_env(), Settings::default()).await;
    let (cart, gateway) = (shop.cart.client(), shop.loms.gateway());
    let sku = shop.loms.stock_product(1000).await;
    let (user, other) = (new_user_on(1), new_user_on(0));
    let order = async |user: i64| {
        let body = json!({"order": {"user": user, "items": [{"sku": sku, "count": 1}]}});
        gateway.post("/v1/orders", body).await
    };
    let databases = [&shop.loms.shards[1], &shop.cart.shards[1]];
    for database in databases {
        accept_sessions(database, false).await;
    }
    for _ in 0..10 {
        for refused in [order(user).await, cart.add(user, sku, 1).await] {
            assert_eq!(refused.status, 503, "{refused:?}");
            assert!(refused.header("retry-after").is_some(), "{refused:?}");
        }
    }
    order(other).await.expect(200);
    cart.add(other, sku, 1).await.expect(200);
    for database in databases {
        accept_sessions(database, true).await;
    }
    Fault::passed("a server that refuses logins")
        .normal_when("orders and carts are written", async || {
            let (order, added) = tokio::join!(order(user), cart.add(user, sku, 1));
            order.status == 200 && added.status == 200
        })
        .await;
    shop.loms.is_sound().await;
}
