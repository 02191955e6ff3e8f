//! How the database executes statements as tables grow from empty.

use std::time::Duration;

use dev::testing::eventually;
use futures::future::join_all;
use sqlx::AssertSqlSafe;

use crate::shop::{Backend, order};

const SOON: Duration = Duration::from_secs(20);
const SKUS: u32 = 1_000;

/// How many sequential scans and index scans a table of shard 0 has had.
async fn scans(backend: &Backend, table: &str) -> (i64, i64) {
    let query = format!(
        "SELECT seq_scan, coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = '{table}'"
    );
    sqlx::query_as(AssertSqlSafe(query)).fetch_one(&backend.pools[0]).await.unwrap()
}

#[actix::test]
async fn no_statement_about_orders_reads_the_whole_stock_however_small_it_was_when_it_was_planned()
{
    let backend = Backend::new().await;
    let shop = backend.open(&[("SWEEP_INTERVAL", "50ms")]).await;
    // The reads of the tables at the start are over.
    let before = (scans(&backend, "stock").await.0, scans(&backend, "reservations").await.0);
    let statement = "WITH skus AS (
            INSERT INTO stock (sku, total_count, reserved_count) SELECT sku, 1000, 0 FROM generate_series(1, $1) AS sku
            ON CONFLICT DO NOTHING RETURNING sku
        ) INSERT INTO stock_seed (sku, total_count) SELECT sku, 1000 FROM skus";
    sqlx::query(statement).bind(i64::from(SKUS)).execute(&backend.pools[0]).await.unwrap();
    let mut orders = 0;
    for round in 0..20 {
        let create = |n: u32| shop.orders.create(order(5, &[(1 + (round * 20 + n) % SKUS, 1)]));
        let created = join_all((0..20).map(create)).await;
        let settled = created.into_iter().enumerate().map(async |(n, order)| {
            let order = order.unwrap();
            if n % 2 == 0 { shop.orders.pay(order).await } else { shop.orders.cancel(order).await }
        });
        for settled in join_all(settled).await {
            settled.unwrap();
            orders += 1;
        }
    }
    // The database updates its counts of a session's reads with a delay.
    eventually(SOON, "the reads by index are counted", async || {
        let (_, by_index) = scans(&backend, "stock").await;
        if by_index >= orders { Ok(()) } else { Err(by_index) }
    })
    .await;
    let after = (scans(&backend, "stock").await.0, scans(&backend, "reservations").await.0);
    assert_eq!(after, before);
    shop.close().await;
}
