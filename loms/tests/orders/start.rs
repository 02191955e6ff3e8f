//! Starting, and the reasons to refuse it.

use std::collections::BTreeSet;

use dev::testing::create_database;
use loms::domain::OrderError;
use loms::{Application, ShardError, StartError};
use service_kit::shard::ShardIndex;
use tokio::time::timeout;

use crate::shop::{Backend, READY_WITHIN, keyed, order};

/// The reason why the application refuses to start.
async fn refused(backend: &Backend, extra: &[(&str, &str)]) -> StartError {
    let application = Application::build(&backend.settings(extra)).await.unwrap();
    let refused = timeout(READY_WITHIN, application.run_until(std::future::pending())).await;
    refused.unwrap().unwrap_err()
}

#[actix::test]
async fn a_database_is_not_taken_for_another_shard() {
    let mut backend = Backend::new().await;
    backend.open(&[]).await.close().await;
    backend.databases.swap(0, 1);
    let refused = refused(&backend, &[("DATABASE_REPLICA_HOST_PORT_0", "")]).await;
    assert!(matches!(refused, StartError::Shard(ShardError::WrongShard { .. })), "{refused}");
    assert!(refused.to_string().contains("belongs to shard"), "{refused}");
    let stock = sqlx::query_scalar("SELECT to_regclass('stock') IS NOT NULL");
    let has_stock: bool = stock.fetch_one(&backend.pools[1]).await.unwrap();
    assert!(!has_stock, "the stock stays where it is");
}

#[actix::test]
async fn an_empty_database_does_not_stand_in_for_a_shard_that_holds_orders() {
    let mut backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    backend.add_stock(1, 10).await;
    let held = shop.orders.create(order(1, &[(1, 1)])).await.unwrap();
    let held = [held, shop.orders.create(order(2, &[(1, 1)])).await.unwrap()];
    shop.close().await;

    let empty = create_database(&backend.servers.postgres_1, "loms").await;
    let right = std::mem::replace(&mut backend.databases[1], empty);
    for _ in 0..2 {
        let refused = refused(&backend, &[]).await;
        let lost = StartError::Shard(ShardError::ShardLost { shard: ShardIndex::new(1), known: 2 });
        assert_eq!(refused.to_string(), lost.to_string());
    }
    let migrated = loms::migrate(&backend.settings(&[])).await.unwrap_err();
    assert!(migrated.contains("was never used"), "{migrated}");
    backend.databases[1] = right;
    let shop = backend.open(&[]).await;
    for order in held {
        shop.orders.pay(order).await.unwrap();
    }
    assert_eq!(shop.left(1).await, 8);
    shop.close().await;
}

#[actix::test]
async fn a_start_that_is_refused_leaves_no_trace() {
    let backend = Backend::new().await;
    backend.open(&[]).await.close().await;
    let again = backend.databases[1].master_env(2);
    let again: Vec<(&str, &str)> =
        again.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let refused = refused(&backend, &again).await;
    assert!(matches!(refused, StartError::Shard(ShardError::WrongShard { .. })), "{refused}");
    assert!(loms::migrate(&backend.settings(&again)).await.is_err());
    backend.open(&[]).await.close().await;
}

#[actix::test]
async fn orders_outlive_the_application() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let id = shop.orders.create(order(1, &[(1002, 3)])).await.unwrap();
    shop.close().await;
    let shop = backend.open(&[]).await;
    assert_eq!(shop.orders.info(id).await.unwrap().user.get(), 1);
    shop.orders.pay(id).await.unwrap();
    shop.close().await;
}

#[actix::test]
async fn a_shard_is_added_by_settings_and_never_left_out_again() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let mut old = Vec::new();
    for user in 1..=8 {
        old.push(shop.orders.create(order(user, &[(1002, 1)])).await.unwrap());
    }
    shop.close().await;

    let third = create_database(&backend.servers.postgres_1, "loms").await;
    let third = third.master_env(2);
    let added: Vec<(&str, &str)> =
        third.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let shop = backend.open(&added).await;
    for id in &old {
        shop.orders.pay(*id).await.unwrap();
    }
    let mut shards = BTreeSet::new();
    for user in 1..=20 {
        shards.insert(shop.orders.create(order(user, &[(1002, 1)])).await.unwrap().get() % 1000);
    }
    assert_eq!(shards, BTreeSet::from([0, 1, 2]));
    shop.close().await;

    let refused = refused(&backend, &[]).await;
    let missing = StartError::Shard(ShardError::ShardsMissing { known: 3, configured: 2 });
    assert_eq!(refused.to_string(), missing.to_string());
    backend.open(&added).await.close().await;
}

#[actix::test]
async fn a_key_is_found_where_its_user_belonged_before_a_shard_was_added() {
    let backend = Backend::new().await;
    let shop = backend.open(&[]).await;
    let mut old = Vec::new();
    for user in 1..=12 {
        let id = shop.orders.create(keyed("k", user, &[(1002, 1)])).await.unwrap();
        shop.orders.pay(id).await.unwrap();
        old.push(id);
    }
    shop.close().await;

    let third = create_database(&backend.servers.postgres_1, "loms").await;
    let third = third.master_env(2);
    let added: Vec<(&str, &str)> =
        third.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for _ in 0..2 {
        let shop = backend.open(&added).await;
        for (user, id) in (1..).zip(&old) {
            assert_eq!(shop.orders.create(keyed("k", user, &[(1002, 1)])).await, Ok(*id));
            let other = shop.orders.create(keyed("k", user, &[(1002, 2)])).await;
            assert_eq!(other, Err(OrderError::KeyReused { order: *id }));
        }
        let mut shards = BTreeSet::new();
        for user in 1..=12 {
            let id = shop.orders.create(keyed("new", user, &[(1003, 1)])).await.unwrap();
            shards.insert(id.get() % 1000);
        }
        assert_eq!(shards, BTreeSet::from([0, 1, 2]), "new orders go to the new shard as well");
        shop.close().await;
    }
}

#[actix::test]
async fn a_key_is_found_when_the_second_shard_is_added_to_the_first() {
    let backend = Backend::new().await;
    let settings =
        ["HOST_PORT", "USER", "PASSWORD", "NAME"].map(|what| format!("DATABASE_MASTER_{what}_1"));
    let first_alone: Vec<(&str, &str)> = settings.iter().map(|name| (name.as_str(), "")).collect();
    let shop = backend.open(&first_alone).await;
    let mut old = Vec::new();
    for user in 1..=12 {
        let id = shop.orders.create(keyed("k", user, &[(1002, 1)])).await.unwrap();
        shop.orders.pay(id).await.unwrap();
        old.push(id);
    }
    backend.at_rest_on(&backend.pools[..1]).await;
    shop.close().await;
    let shop = backend.open(&[]).await;
    for (user, id) in (1..).zip(&old) {
        assert_eq!(shop.orders.create(keyed("k", user, &[(1002, 1)])).await, Ok(*id));
    }
    shop.close().await;
}
