//! Starting, and what forbids it.

use std::collections::BTreeSet;

use dev::testing::create_database;
use loms::{Application, ShardError, StartError};

use crate::shop::{Backend, order};

#[actix::test]
async fn a_database_is_not_taken_for_another_shard() {
    let mut backend = Backend::new().await;
    backend.open(&[]).await.close().await;
    backend.databases.swap(0, 1);
    let application =
        Application::build(&backend.settings(&[("DATABASE_REPLICA_HOST_PORT_0", "")])).await.unwrap();
    let refused = application.run_until(std::future::pending()).await.unwrap_err();
    assert!(matches!(refused, StartError::Shard(ShardError::WrongShard { .. })), "{refused}");
    assert!(refused.to_string().contains("belongs to shard"), "{refused}");
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

    let application = Application::build(&backend.settings(&[])).await.unwrap();
    let refused = application.run_until(std::future::pending()).await.unwrap_err();
    let missing = StartError::Shard(ShardError::ShardsMissing { known: 3, configured: 2 });
    assert_eq!(refused.to_string(), missing.to_string());
    backend.open(&added).await.close().await;
}
