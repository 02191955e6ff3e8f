//! Invariants across all databases that hold whenever no work is in progress.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dev::testing::eventually;
use sqlx::PgPool;

use crate::shop::Backend;

/// The initial count of each SKU, and what was restocked since.
const SEEDED: &str = "SELECT sku, total_count + coalesce((
        SELECT sum(count)::bigint FROM stock_history AS history WHERE history.sku = stock_seed.sku
    ), 0) FROM stock_seed";

type Counts = BTreeMap<i64, i64>;

/// Waits until the invariants hold, because effects that wait for a sweeper are normal. Fails if
/// there was ever a deadlock, although deadlocks resolve themselves.
pub async fn hold(backend: &Backend) {
    eventually(Duration::from_secs(20), "the invariants hold", async || check(backend).await).await;
    for (shard, pool) in backend.pools.iter().enumerate() {
        let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
        let deadlocks: i64 = sqlx::query_scalar(deadlocks).fetch_one(pool).await.unwrap();
        assert_eq!(deadlocks, 0, "deadlocks on shard {shard}");
    }
}

async fn check(backend: &Backend) -> Result<(), String> {
    let stock = &backend.pools[0];
    let reserved = counts(stock, "SELECT sku, reserved_count FROM stock").await;
    let total = counts(stock, "SELECT sku, total_count FROM stock").await;
    let seeded = counts(stock, SEEDED).await;
    let open = "SELECT sku, sum(count)::bigint FROM reservations, unnest(skus, counts) AS item (sku, count)";
    let held = counts(stock, &format!("{open} GROUP BY sku")).await;
    let held_by_orders = counts(stock, &format!("{open} WHERE order_id > 0 GROUP BY sku")).await;
    let awaiting = ordered(backend, "AWAITING_PAYMENT").await;
    let paid = ordered(backend, "PAYED").await;

    same("reserved and held", &reserved, &held)?;
    same("held and ordered", &held_by_orders, &awaiting)?;
    let left: Counts = seeded
        .iter()
        .map(|(sku, total)| (*sku, total - paid.get(sku).copied().unwrap_or(0)))
        .collect();
    same("in stock and seeded less paid", &total, &left)?;
    for pool in &backend.pools {
        let broken: Vec<i64> = sqlx::query_scalar(
            "SELECT orders.id FROM orders LEFT JOIN order_history AS history ON history.order_id = orders.id
             GROUP BY orders.id
             HAVING count(history.sequence) <> orders.sequence OR max(history.sequence) <> orders.sequence
                 OR (array_agg(history.state ORDER BY history.sequence DESC))[1] <> orders.state",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        if !broken.is_empty() {
            return Err(format!("the history does not lead to the state of {broken:?}"));
        }
    }
    Ok(())
}

async fn ordered(backend: &Backend, state: &str) -> Counts {
    let mut all = Counts::new();
    for pool in &backend.pools {
        let items =
            "SELECT sku, sum(count)::bigint FROM orders, unnest(skus, counts) AS item (sku, count)";
        for (sku, count) in
            counts(pool, &format!("{items} WHERE state = '{state}' GROUP BY sku")).await
        {
            *all.entry(sku).or_default() += count;
        }
    }
    all
}

async fn counts(pool: &PgPool, query: &str) -> Counts {
    let rows: Vec<(i64, i64)> =
        sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_all(pool).await.unwrap();
    rows.into_iter().collect()
}

fn same(what: &str, left: &Counts, right: &Counts) -> Result<(), String> {
    let skus: BTreeSet<&i64> = left.keys().chain(right.keys()).collect();
    for sku in skus {
        let (left, right) = (left.get(sku).unwrap_or(&0), right.get(sku).unwrap_or(&0));
        if left != right {
            return Err(format!("{what} differ for sku {sku}: {left} and {right}"));
        }
    }
    Ok(())
}
