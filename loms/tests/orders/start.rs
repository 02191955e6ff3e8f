//! Starting, and what forbids it.

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
