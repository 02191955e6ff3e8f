//! A database that takes no changes for a while: after a failover, with a full disk, or because an operator said so.

use dev::testing::{Database, Fault, Servers};
use serde_json::json;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use crate::support::{Rest, SOON, Samples, Settings, Shop, eventually, new_user_on};

/// Makes new sessions with the database read-only, and ends those that there are, as a failover does.
async fn make_read_only(database: &Database) {
    let mut operator = database.connect().await;
    let statement =
        format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name);
    operator.execute(AssertSqlSafe(statement)).await.unwrap();
    end_sessions(&mut operator).await;
}

async fn end_sessions(operator: &mut sqlx::PgConnection) {
    let statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    operator.execute(statement).await.unwrap();
}

/// Lets new sessions write again. Those that there are stay read-only.
async fn make_writable(database: &Database) {
    let mut operator = database.options().database("postgres").connect().await.unwrap();
    let statement = format!("ALTER DATABASE {} RESET default_transaction_read_only", database.name);
    operator.execute(AssertSqlSafe(statement)).await.unwrap();
}

async fn samples(service: &Rest) -> Samples {
    Samples::parse(&service.get("/metrics").await.expect(200).body)
}

/// Why /readyz says that a part is not ready.
async fn reason(service: &Rest, part: &str) -> Option<String> {
    let report = service.get("/readyz").await.json();
    let part =
        report["components"].as_array()?.iter().find(|found| found["name"] == json!(part))?.clone();
    part["reason"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn orders_and_carts_work_again_soon_after_their_databases_can_be_written() {
    let shop = Shop::start(&Servers::from_env(), Settings::default()).await;
    let (cart, loms) = (shop.cart.client(), shop.loms.client());
    let sku = shop.loms.stock_product(1000).await;
    let lines = [(sku, 1)];
    let databases = [&shop.loms.shards[1], &shop.cart.shards[1]];
    for database in databases {
        make_read_only(database).await;
    }
    let (user, other) = (new_user_on(1), new_user_on(0));
    for service in [&shop.loms.process, &shop.cart.process] {
        let rest = Rest::new(service.base_url());
        eventually(SOON, "the report says which shard cannot be written", async || {
            reason(&rest, "postgres shard 1").await.filter(|reason| reason.contains("read-only"))
        })
        .await;
        rest.get("/readyz").await.expect(200);
        let shown =
            samples(&rest).await.sum("component_ready", &[("component", "postgres shard 1")]);
        assert!(shown < 0.5, "the metric says so, too");
    }
    // As many as fill the pools with sessions that cannot write.
    for _ in 0..16 {
        loms.create(user, &lines).await.unwrap_err();
        let refused = cart.add(user, sku, 1).await;
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
    }
    loms.create(other, &lines).await.unwrap();
    cart.add(other, sku, 1).await.expect(200);

    for database in databases {
        make_writable(database).await;
    }
    let services =
        [&shop.loms.process, &shop.cart.process].map(|service| Rest::new(service.base_url()));
    Fault::passed("a database that is temporarily read-only")
        .normal_when("orders and carts are written", async || {
            for service in &services {
                if reason(service, "postgres shard 1").await.is_some() {
                    return false;
                }
            }
            let (order, added) = tokio::join!(loms.create(user, &lines), cart.add(user, sku, 1));
            order.is_ok() && added.status == 200
        })
        .await;
    for _ in 0..16 {
        loms.create(user, &lines).await.unwrap();
        cart.add(user, sku, 1).await.expect(200);
    }
    shop.loms.is_sound().await;
}
