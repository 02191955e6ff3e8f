//! All statements of `cart verify`. None of them writes or takes a lock.

use std::collections::BTreeMap;

use sqlx::FromRow;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::app::IdentityRow;

/// How many rows are read at once.
const PAGE: i64 = 1000;

pub(super) const CARTS: &str = "FROM carts";
pub(super) const CHECKOUTS: &str = "FROM checkout_intents";
pub(super) const ANSWERS: &str = "FROM idempotency_keys";

/// Whether two arrays are not the lines of a cart.
fn are_wrong(skus: &str, counts: &str) -> String {
    format!(
        "(array_ndims({skus}) > 1 OR array_ndims({counts}) > 1 OR cardinality({skus}) > 1000
          OR EXISTS (SELECT FROM unnest({skus}, {counts}) AS line (sku, count)
                     WHERE sku IS NULL OR count IS NULL OR sku NOT BETWEEN 1 AND 4294967295 OR count NOT BETWEEN 1 AND 65535)
          OR {skus} <> ARRAY(SELECT DISTINCT sku FROM unnest({skus}) AS sku ORDER BY sku))"
    )
}

pub(super) fn carts_with_wrong_lines() -> String {
    format!("SELECT user_id AS id FROM carts WHERE {}", are_wrong("skus", "counts"))
}

pub(super) fn checkouts_with_wrong_lines() -> String {
    let (ordered, leaving) =
        (are_wrong("skus", "counts"), are_wrong("leaving_skus", "leaving_counts"));
    format!(
        "SELECT user_id AS id FROM checkout_intents
         WHERE cardinality(skus) = 0 OR {ordered} OR coalesce({leaving}, false)
            OR (leaving_skus IS NULL) <> (leaving_counts IS NULL)"
    )
}

pub(super) const CHECKOUTS_WITHOUT_CART: &str = "SELECT user_id AS id FROM checkout_intents LEFT JOIN carts USING (user_id) WHERE carts.version IS NULL";

pub(super) const CHECKOUTS_TAKING_TOO_MUCH: &str = "
SELECT user_id AS id FROM checkout_intents AS intent
WHERE EXISTS (
    SELECT FROM unnest(leaving_skus, leaving_counts) AS leaving (sku, count)
    WHERE count > coalesce((SELECT sum(ordered.count) FROM unnest(intent.skus, intent.counts) AS ordered (sku, count)
                            WHERE ordered.sku = leaving.sku), 0))";

pub(super) const CHECKOUTS_TAKING_WHAT_IS_NOT_THERE: &str = "
SELECT user_id AS id FROM checkout_intents AS intent JOIN carts AS cart USING (user_id)
WHERE EXISTS (
    SELECT FROM unnest(coalesce(leaving_skus, intent.skus), coalesce(leaving_counts, intent.counts)) AS leaving (sku, count)
    WHERE count > coalesce((SELECT sum(held.count) FROM unnest(cart.skus, cart.counts) AS held (sku, count)
                            WHERE held.sku = leaving.sku), 0))";

pub(super) const WRONG_ANSWERS: &str = "
SELECT user_id AS id FROM idempotency_keys
WHERE CASE WHEN request = 'POST /cart/checkout' THEN order_id IS NULL
           ELSE order_id IS NOT NULL OR request !~ '^POST /cart/[0-9]+ count=[0-9]+$' END";

/// Which shard of carts the database is.
pub(super) async fn place_of_carts(
    connection: &mut PgConnection,
) -> Result<Option<IdentityRow>, sqlx::Error> {
    let query = sqlx::query_as("SELECT shard, shards, complete FROM shard_identity");
    query.fetch_optional(connection).await
}

/// Which shard of orders the database is, and the number of shards that it knows.
pub(super) async fn place_of_orders(
    connection: &mut PgConnection,
) -> Result<Option<(i32, i32)>, sqlx::Error> {
    let query =
        "SELECT shard, (SELECT coalesce(max(shards), 0) FROM shard_layouts) FROM shard_identity";
    sqlx::query_as(query).fetch_optional(connection).await
}

const USERS: &str = "
(SELECT user_id FROM carts WHERE user_id > $1 ORDER BY user_id LIMIT $2)
UNION (SELECT DISTINCT user_id FROM idempotency_keys WHERE user_id > $1 ORDER BY user_id LIMIT $2)
ORDER BY user_id LIMIT $2";

/// The users after `last` who have a cart or a stored answer.
pub(super) async fn users(
    connection: &mut PgConnection,
    last: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar(USERS).bind(last).bind(PAGE).fetch_all(connection).await
}

/// Pieces by SKU.
pub(super) type Lines = BTreeMap<i64, i64>;

/// An open checkout.
pub(super) struct OpenCheckout {
    pub user_id: i64,
    pub id: Uuid,
    pub lines: Lines,
}

#[derive(FromRow)]
struct CheckoutRow {
    user_id: i64,
    id: Uuid,
    skus: Vec<i64>,
    counts: Vec<i64>,
}

/// Each pair of arrays is read line by line, because arrays written by hand may have any form.
const OPEN_CHECKOUTS: &str = "
SELECT user_id, id, ARRAY(SELECT coalesce(sku, 0) FROM unnest(skus, counts) WITH ORDINALITY AS line (sku, count, nth) ORDER BY nth) AS skus,
       ARRAY(SELECT coalesce(count, 0)::bigint FROM unnest(skus, counts) WITH ORDINALITY AS line (sku, count, nth) ORDER BY nth) AS counts
FROM checkout_intents WHERE user_id > $1 ORDER BY user_id LIMIT $2";

/// The open checkouts of users after `last`.
pub(super) async fn checkouts(
    connection: &mut PgConnection,
    last: i64,
) -> Result<Vec<OpenCheckout>, sqlx::Error> {
    let query = sqlx::query_as(OPEN_CHECKOUTS).bind(last).bind(PAGE);
    let rows: Vec<CheckoutRow> = query.fetch_all(connection).await?;
    let checkout = |CheckoutRow { user_id, id, skus, counts }| OpenCheckout {
        user_id,
        id,
        lines: skus.into_iter().zip(counts).collect(),
    };
    Ok(rows.into_iter().map(checkout).collect())
}

#[derive(FromRow)]
struct OrderLines {
    id: i64,
    idempotency_key: String,
    skus: Vec<i64>,
    counts: Vec<i64>,
}

const ORDERS_OF: &str = "
SELECT id, idempotency_key,
       ARRAY(SELECT coalesce(sku, 0) FROM unnest(skus, counts) WITH ORDINALITY AS line (sku, count, nth) ORDER BY nth) AS skus,
       ARRAY(SELECT coalesce(count, 0) FROM unnest(skus, counts) WITH ORDINALITY AS line (sku, count, nth) ORDER BY nth) AS counts
FROM orders JOIN unnest($1::bigint[], $2::text[]) AS asked (user_id, idempotency_key) USING (user_id, idempotency_key)";

/// The orders of these users with these keys: id, key and lines.
pub(super) async fn orders_of(
    connection: &mut PgConnection,
    users: &[i64],
    keys: &[String],
) -> Result<Vec<(i64, String, Lines)>, sqlx::Error> {
    let query = sqlx::query_as(ORDERS_OF).bind(users).bind(keys);
    let rows: Vec<OrderLines> = query.fetch_all(connection).await?;
    let order = |OrderLines { id, idempotency_key, skus, counts }| {
        (id, idempotency_key, skus.into_iter().zip(counts).collect())
    };
    Ok(rows.into_iter().map(order).collect())
}

/// An order that cart names as the answer to a user.
#[derive(FromRow)]
pub(super) struct Named {
    pub user_id: i64,
    /// The key that it is stored under. Empty if it is unreported.
    pub key: String,
    pub order_id: i64,
}

const STORED: &str = "
SELECT user_id, key, order_id FROM idempotency_keys
WHERE (user_id, key) > ($1, $2) AND order_id IS NOT NULL
ORDER BY user_id, key LIMIT $3";

/// The stored orders after this user and key.
pub(super) async fn answers(
    connection: &mut PgConnection,
    user: i64,
    key: &str,
) -> Result<Vec<Named>, sqlx::Error> {
    sqlx::query_as(STORED).bind(user).bind(key).bind(PAGE).fetch_all(connection).await
}

const UNREPORTED: &str = "
SELECT user_id, '' AS key, unreported_order AS order_id FROM carts
WHERE user_id > $1 AND unreported_order IS NOT NULL
ORDER BY user_id LIMIT $2";

/// The unreported orders of users after `last`.
pub(super) async fn unreported(
    connection: &mut PgConnection,
    last: i64,
) -> Result<Vec<Named>, sqlx::Error> {
    sqlx::query_as(UNREPORTED).bind(last).bind(PAGE).fetch_all(connection).await
}

/// An order of loms.
#[derive(FromRow)]
pub(super) struct Order {
    pub id: i64,
    pub user_id: i64,
    pub is_failed: bool,
    #[sqlx(rename = "idempotency_key")]
    pub key: Option<String>,
}

const ORDERS: &str = "
SELECT id, user_id, state = 'FAILED' AS is_failed, idempotency_key FROM orders WHERE id = ANY ($1)";

/// The orders with these ids.
pub(super) async fn orders(
    connection: &mut PgConnection,
    ids: &[i64],
) -> Result<Vec<Order>, sqlx::Error> {
    sqlx::query_as(ORDERS).bind(ids).fetch_all(connection).await
}

/// Those of these checkouts that are open.
pub(super) async fn open(
    connection: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<Uuid>, sqlx::Error> {
    let query = "SELECT id FROM checkout_intents WHERE id = ANY ($1)";
    sqlx::query_scalar(query).bind(ids).fetch_all(connection).await
}
