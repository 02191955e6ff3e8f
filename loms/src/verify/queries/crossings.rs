//! Reads the rows of stock and orders that have to be compared, in pages by ascending id, so that
//! memory is bounded.

use std::collections::HashMap;
use std::time::Duration;

use futures::TryStreamExt;
use service_kit::database::Numbers;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;

/// How many rows are in memory at a time.
const PAGE: i64 = 1000;

/// The content of an order or a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::verify) struct Content {
    pub user: i64,
    pub key: Option<String>,
    pub skus: Vec<i64>,
    pub counts: Vec<i64>,
}

/// An order as a snapshot shows it.
pub(in crate::verify) struct OrderNow {
    pub state: String,
    pub content: Content,
    /// Whether its effect on the stock is still pending.
    pub effect: bool,
    /// Whether its last change is younger than the grace.
    pub young: bool,
}

/// The reservation of an order.
pub(in crate::verify) struct Reservation {
    pub order: i64,
    pub content: Content,
    /// Whether it is younger than the grace.
    pub young: bool,
}

#[derive(FromRow)]
struct ContentRow {
    user_id: i64,
    idempotency_key: Option<String>,
    skus: Numbers,
    counts: Numbers,
}

impl From<ContentRow> for Content {
    fn from(row: ContentRow) -> Self {
        let ContentRow { user_id: user, idempotency_key: key, skus, counts } = row;
        Self { user, key, skus: skus.or_none(), counts: counts.or_none() }
    }
}

#[derive(FromRow)]
struct OrderRow {
    id: i64,
    state: String,
    #[sqlx(flatten)]
    content: ContentRow,
    effect: bool,
    young: bool,
}

const ORDERS: &str = "
SELECT id, state, user_id, idempotency_key, skus, counts,
    EXISTS (SELECT FROM stock_effects WHERE order_id = orders.id) AS effect, updated_at > now() - $2 AS young
FROM orders WHERE id = ANY($1)";

/// Those orders with these ids that exist.
pub(in crate::verify) async fn orders(
    connection: &mut PgConnection,
    ids: &[i64],
    grace: Duration,
) -> Result<HashMap<i64, OrderNow>, sqlx::Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<OrderRow> =
        sqlx::query_as(ORDERS).bind(ids).bind(grace).fetch_all(connection).await?;
    let order = |OrderRow { id, state, content, effect, young }| {
        (id, OrderNow { state, content: content.into(), effect, young })
    };
    Ok(rows.into_iter().map(order).collect())
}

#[derive(FromRow)]
struct ReservationRow {
    order_id: i64,
    #[sqlx(flatten)]
    content: ContentRow,
    young: bool,
}

const RESERVATIONS: &str = "
SELECT order_id, user_id, idempotency_key, skus, counts, created_at > now() - $2 AS young
FROM reservations WHERE order_id > $1 ORDER BY order_id LIMIT $3";

/// A page of reservations, starting after this order id.
pub(in crate::verify) async fn reservations(
    connection: &mut PgConnection,
    after: i64,
    grace: Duration,
) -> Result<Vec<Reservation>, sqlx::Error> {
    let query = sqlx::query_as(RESERVATIONS).bind(after).bind(grace).bind(PAGE);
    Ok(query.fetch_all(connection).await?.into_iter().map(reservation).collect())
}

const HELD_BY: &str = "
SELECT order_id, user_id, idempotency_key, skus, counts, created_at > now() - $2 AS young
FROM reservations WHERE order_id = ANY($1)";

/// The reservations of these orders.
pub(in crate::verify) async fn held_by(
    connection: &mut PgConnection,
    orders: &[i64],
    grace: Duration,
) -> Result<Vec<Reservation>, sqlx::Error> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let query = sqlx::query_as(HELD_BY).bind(orders).bind(grace);
    Ok(query.fetch_all(connection).await?.into_iter().map(reservation).collect())
}

fn reservation(row: ReservationRow) -> Reservation {
    Reservation { order: row.order_id, content: row.content.into(), young: row.young }
}

const AWAITING: &str =
    "SELECT id FROM orders WHERE state = 'AWAITING_PAYMENT' AND id > $1 ORDER BY id LIMIT $2";

/// A page of orders that await their payment, starting after this id.
pub(in crate::verify) async fn awaiting(
    connection: &mut PgConnection,
    after: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(AWAITING).bind(after).bind(PAGE).fetch_all(connection).await
}

/// Pieces by SKU.
pub(in crate::verify) type Pieces = HashMap<i64, i64>;

/// Adds lines to a sum.
pub(in crate::verify) fn add(pieces: &mut Pieces, skus: &[i64], counts: &[i64]) {
    for (sku, count) in skus.iter().zip(counts) {
        *pieces.entry(*sku).or_default() += count;
    }
}

const PAID: &str = "
SELECT sku, coalesce(sum(count), 0)::bigint AS count FROM orders, unnest(skus, counts) AS item (sku, count)
WHERE state = 'PAYED' AND sku IS NOT NULL GROUP BY sku";

#[derive(FromRow)]
struct PaidRow {
    sku: i64,
    count: i64,
}

/// Adds the paid pieces of this shard to a sum.
pub(in crate::verify) async fn paid(
    connection: &mut PgConnection,
    sum: &mut Pieces,
) -> Result<(), sqlx::Error> {
    let mut rows = sqlx::query_as(PAID).fetch(connection);
    while let Some(PaidRow { sku, count }) = rows.try_next().await? {
        *sum.entry(sku).or_default() += count;
    }
    Ok(())
}

/// `created_at` is when the insert began. An order that an earlier snapshot does not show may have
/// begun before that snapshot, by at most the duration of one statement.
const PAID_LATELY: &str = "
SELECT id, skus, counts FROM orders
WHERE state = 'PAYED' AND created_at > now() - interval '1 minute' AND id > $1 ORDER BY id LIMIT $2";

#[derive(FromRow)]
struct PaidLatelyRow {
    id: i64,
    skus: Numbers,
    counts: Numbers,
}

/// The lines of a paid order.
pub(in crate::verify) struct PaidOrder {
    pub id: i64,
    pub skus: Vec<i64>,
    pub counts: Vec<i64>,
}

/// A page of paid orders that an earlier snapshot may not show, starting after this id.
pub(in crate::verify) async fn paid_lately(
    connection: &mut PgConnection,
    after: i64,
) -> Result<Vec<PaidOrder>, sqlx::Error> {
    let rows = sqlx::query_as(PAID_LATELY).bind(after).bind(PAGE).fetch_all(connection).await?;
    let order = |PaidLatelyRow { id, skus, counts }| PaidOrder {
        id,
        skus: skus.or_none(),
        counts: counts.or_none(),
    };
    Ok(rows.into_iter().map(order).collect())
}

/// A SKU of the stock, or of what was seeded.
#[derive(FromRow)]
pub(in crate::verify) struct StockRow {
    pub sku: i64,
    /// Its current total.
    pub total: Option<i64>,
    /// Its seeded total plus restocks.
    pub delivered: Option<i64>,
}

const STOCK: &str = "
SELECT sku, stock.total_count AS total, stock_seed.total_count + coalesce(restocked.count, 0) AS delivered
FROM stock FULL JOIN stock_seed USING (sku)
LEFT JOIN (SELECT sku, sum(count)::bigint AS count FROM stock_history GROUP BY sku) AS restocked USING (sku)
ORDER BY sku";

/// All SKUs.
pub(in crate::verify) async fn stock(
    connection: &mut PgConnection,
) -> Result<Vec<StockRow>, sqlx::Error> {
    sqlx::query_as(STOCK).fetch_all(connection).await
}
