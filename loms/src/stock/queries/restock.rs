//! Changes the stock by hand.

use service_kit::database::{Transaction, observe};
use sqlx::FromRow;

use super::reservations::known;
use crate::domain::{IdempotencyKey, Restock, Sku, StockLevel};

/// A restock as recorded in the history.
pub(in crate::stock) struct EarlierRestock {
    pub sku: Sku,
    pub count: i64,
    pub level: StockLevel,
}

#[derive(FromRow)]
struct LevelRow {
    total_count: i64,
    reserved_count: i64,
}

impl From<LevelRow> for StockLevel {
    fn from(row: LevelRow) -> Self {
        Self { total: row.total_count, reserved: row.reserved_count }
    }
}

#[derive(FromRow)]
struct RestockRow {
    sku: i64,
    count: i64,
    #[sqlx(flatten)]
    level: LevelRow,
}

const FIND: &str =
    "SELECT sku, count, total_count, reserved_count FROM stock_history WHERE idempotency_key = $1";

/// The restock that was done under the key.
pub(in crate::stock) async fn find_restock(
    connection: &mut Transaction,
    key: &IdempotencyKey,
) -> Result<Option<EarlierRestock>, sqlx::Error> {
    let query = sqlx::query_as(FIND).bind(key.as_str());
    let row: Option<RestockRow> = observe("find_restock", query.fetch_optional(connection)).await?;
    Ok(row.and_then(|RestockRow { sku, count, level }| {
        Some(EarlierRestock { sku: known(sku)?, count, level: level.into() })
    }))
}

const ADD: &str = "
WITH added AS (
    INSERT INTO stock (sku, total_count, reserved_count) VALUES ($1, 0, 0) ON CONFLICT DO NOTHING RETURNING sku
)
INSERT INTO stock_seed (sku, total_count) SELECT sku, 0 FROM added";

/// Adds a SKU with no pieces. A SKU that exists is left alone.
pub(in crate::stock) async fn add_sku(
    connection: &mut Transaction,
    sku: Sku,
) -> Result<(), sqlx::Error> {
    observe("add_sku", sqlx::query(ADD).bind(i64::from(sku)).execute(connection)).await?;
    Ok(())
}

const LOCK: &str = "SELECT total_count, reserved_count FROM stock WHERE sku = $1 FOR UPDATE";

/// Reads the level of a SKU and locks it until the transaction ends.
pub(in crate::stock) async fn lock_level(
    connection: &mut Transaction,
    sku: Sku,
) -> Result<Option<StockLevel>, sqlx::Error> {
    let query = sqlx::query_as(LOCK).bind(i64::from(sku));
    let row: Option<LevelRow> = observe("lock_level", query.fetch_optional(connection)).await?;
    Ok(row.map(StockLevel::from))
}

const RESTOCK: &str = "
WITH history AS (
    INSERT INTO stock_history (sku, count, total_count, reserved_count, idempotency_key, traceparent)
    VALUES ($1, $2, $3, $4, $5, $6)
)
UPDATE stock SET total_count = $3 WHERE sku = $1";

/// Writes the decision. This transaction must hold the lock of the level it was made over.
pub(in crate::stock) async fn restock(
    connection: &mut Transaction,
    restock: &Restock,
    level: StockLevel,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(RESTOCK)
        .bind(i64::from(restock.sku))
        .bind(restock.change.get())
        .bind(level.total)
        .bind(level.reserved)
        .bind(restock.key.as_str())
        .bind(restock.traceparent.as_deref());
    observe("restock", query.execute(connection)).await?;
    Ok(())
}
