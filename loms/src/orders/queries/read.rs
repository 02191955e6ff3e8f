//! Reads orders.

use std::collections::HashMap;

use service_kit::database::{Numbers, Pool, observe};
use shared_actors::fits;
use sqlx::FromRow;

use crate::domain::{Failure, Order, OrderId};
use crate::items::{decoded, lines, undecodable};
use crate::orders::metrics;

#[derive(FromRow)]
pub(super) struct OrderRow {
    pub id: i64,
    pub user_id: i64,
    pub state: String,
    pub skus: Numbers,
    pub counts: Numbers,
}

impl OrderRow {
    /// Decodes the order. A row that was edited by hand and cannot be decoded does not affect reads
    /// of other orders.
    pub fn order(&self) -> Result<Order, Failure> {
        self.decode().map_err(|error| {
            metrics::unreadable();
            tracing::error!(%error, order = self.id, "cannot decode the row of an order");
            Failure::internal(format!("order {}: {error}", self.id))
        })
    }

    fn decode(&self) -> Result<Order, sqlx::Error> {
        Ok(Order {
            id: decoded(self.id)?,
            user: decoded(self.user_id)?,
            status: self.state.parse().map_err(undecodable)?,
            lines: lines(self.skus.get()?, self.counts.get()?)?,
        })
    }
}

const FIND: &str = "SELECT id, user_id, state, skus, counts FROM orders WHERE id = ANY($1)";

/// Orders by id. A row that cannot be decoded is an error of that order only.
pub(crate) type ById = HashMap<OrderId, Result<Order, Failure>>;

/// The orders with these ids. Unknown ids are left out.
pub(crate) async fn find(pool: &Pool, ids: &[i64]) -> Result<ById, sqlx::Error> {
    let rows: Vec<OrderRow> =
        observe("get_orders", sqlx::query_as(FIND).bind(ids).fetch_all(pool)).await?;
    rows.iter().map(|row| Ok((decoded(row.id)?, row.order()))).collect()
}

const NOT_FAILED: &str = "SELECT id FROM orders WHERE id = ANY($1) AND state <> 'FAILED'";

/// Those of the orders that exist and have not failed. Only these own their reservation.
pub(crate) async fn not_failed(pool: &Pool, ids: &[i64]) -> Result<Vec<OrderId>, sqlx::Error> {
    let query = sqlx::query_scalar(NOT_FAILED).bind(ids);
    let ids: Vec<i64> = observe("not_failed_orders", query.fetch_all(pool)).await?;
    ids.into_iter().map(decoded).collect()
}

/// The inner query reads only the number of lines of each order. The lines themselves are read only
/// for orders of the page.
const PAGE: &str = "
SELECT page.id, user_id, state, skus, counts, found FROM (
    SELECT id, lines, count(*) OVER () AS found, sum(lines) OVER (ORDER BY id DESC) AS lines_so_far FROM (
        SELECT id, cardinality(skus) AS lines FROM orders WHERE id < $1 ORDER BY id DESC LIMIT $2
    ) AS newest
) AS page JOIN orders ON orders.id = page.id
WHERE lines_so_far - lines < $3
ORDER BY page.id DESC";

/// Maximum number of lines on one page of a shard. The last order may exceed it.
const PAGE_LINES: i64 = 20_000;

#[derive(FromRow)]
struct PageRow {
    #[sqlx(flatten)]
    order: OrderRow,
    found: i64,
}

/// The newest orders of a shard with ids below a given one.
#[derive(Debug, Default)]
pub(crate) struct ShardPage {
    /// Newest first. Orders whose row cannot be decoded are left out.
    pub orders: Vec<Order>,
    /// The lowest id that was read. `None` if no order has a lower id.
    pub rest_below: Option<i64>,
}

/// Reads at most `limit` of the newest orders with ids below `before`, or fewer if they have very
/// many lines.
pub(crate) async fn page(pool: &Pool, before: i64, limit: i64) -> Result<ShardPage, sqlx::Error> {
    // One row more than wanted shows whether there is another page.
    let query = sqlx::query_as(PAGE).bind(before).bind(limit + 1).bind(PAGE_LINES);
    let mut rows: Vec<PageRow> = observe("list_orders", query.fetch_all(pool)).await?;
    let size: usize = fits(limit);
    assert!(rows.len() <= size + 1, "{} rows, limit {limit} and one more", rows.len());
    assert!(rows.is_sorted_by(|newer, older| newer.order.id > older.order.id), "newest first");
    rows.truncate(size);
    let is_all = rows.first().is_none_or(|row| row.found == fits::<usize, i64>(rows.len()));
    let rest_below = if is_all { None } else { rows.last().map(|row| row.order.id) };
    Ok(ShardPage {
        orders: rows.iter().filter_map(|row| row.order.order().ok()).collect(),
        rest_below,
    })
}

const UNPAID: &str = "
SELECT id FROM orders WHERE state = 'AWAITING_PAYMENT' AND pay_before < now() ORDER BY pay_before LIMIT $1";

/// Orders whose payment deadline has passed, by the clock of the database.
pub(crate) async fn unpaid(pool: &Pool, limit: usize) -> Result<Vec<OrderId>, sqlx::Error> {
    let query = sqlx::query_scalar(UNPAID).bind(fits::<usize, i64>(limit));
    let ids: Vec<i64> = observe("unpaid_orders", query.fetch_all(pool)).await?;
    assert!(ids.len() <= limit, "{} orders, limit {limit}", ids.len());
    ids.into_iter().map(decoded).collect()
}
