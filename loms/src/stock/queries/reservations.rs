//! Reserves and settles stock, and reads how much is left.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use service_kit::database::{Numbers, Pool, Transaction, observe};
use sqlx::FromRow;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::QueryScalar;

use crate::domain::{IdempotencyKey, Lines, OrderId, Sku, UserId};
use crate::items::{ItemArrays, decoded, lines};
use crate::stock::decide::{Available, ByKey, Decision, ReservationRequest};
use crate::stock::effect::{Effect, EffectKind};

#[derive(FromRow)]
struct LeftRow {
    sku: i64,
    left_count: i64,
}

impl LeftRow {
    fn known(self) -> Option<(Sku, i64)> {
        Some((known(self.sku)?, self.left_count))
    }
}

const LOCK_STOCK: &str = "
SELECT sku, total_count - reserved_count AS left_count FROM stock WHERE sku = ANY($1) ORDER BY sku FOR UPDATE";

/// Returns how much of each SKU is left. Locks the SKUs until the transaction ends, always in the
/// same order.
pub(in crate::stock) async fn lock_stock(
    connection: &mut Transaction,
    skus: &[i64],
) -> Result<Available, sqlx::Error> {
    let rows: Vec<LeftRow> =
        observe("lock_stock", sqlx::query_as(LOCK_STOCK).bind(skus).fetch_all(connection)).await?;
    Ok(rows.into_iter().filter_map(LeftRow::known).collect())
}

/// Converts a SKU. A check constraint of the table rules out invalid ones.
pub(super) fn known(sku: i64) -> Option<Sku> {
    Sku::try_from(u32::try_from(sku).ok()?).ok()
}

const FIND_BY_KEYS: &str = "
SELECT user_id, idempotency_key, order_id, skus, counts
FROM unnest($1::bigint[], $2::text[]) AS wanted (user_id, idempotency_key)
JOIN reservations USING (user_id, idempotency_key)";

#[derive(FromRow)]
struct HeldRow {
    user_id: i64,
    idempotency_key: Option<String>,
    order_id: i64,
    skus: Numbers,
    counts: Numbers,
}

impl HeldRow {
    /// The lines of the reservation. Lines that were edited by hand and cannot be decoded affect
    /// only this reservation.
    fn lines(&self) -> Option<Lines> {
        let read = || lines(self.skus.get()?, self.counts.get()?);
        let cannot = |error: &sqlx::Error| tracing::error!(%error, order = self.order_id, "cannot decode a reservation");
        read().inspect_err(cannot).ok()
    }
}

/// The open reservations that were made under these keys.
pub(in crate::stock) async fn find_by_keys(
    connection: &mut Transaction,
    keys: &[(UserId, &IdempotencyKey)],
) -> Result<ByKey, sqlx::Error> {
    let (users, keys): (Vec<i64>, Vec<&str>) =
        keys.iter().map(|(user, key)| (user.get(), key.as_str())).unzip();
    let query = sqlx::query_as(FIND_BY_KEYS).bind(users).bind(keys);
    let rows: Vec<HeldRow> = observe("find_reservations", query.fetch_all(connection)).await?;
    rows.into_iter()
        .map(|row| {
            let key = decoded(row.idempotency_key.as_deref().unwrap_or_default())?;
            Ok(((decoded(row.user_id)?, key), (decoded(row.order_id)?, row.lines())))
        })
        .collect()
}

/// Inserts in key order. Two instances with the same keys but different SKUs then wait for each
/// other in the same order and cannot deadlock.
const RESERVE: &str = "
WITH held AS (
    INSERT INTO reservations (order_id, user_id, idempotency_key, skus, counts)
    SELECT order_id, user_id, idempotency_key, ($6)[first_item:last_item], ($7)[first_item:last_item]
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::int[], $5::int[])
        AS granted (order_id, user_id, idempotency_key, first_item, last_item)
    ORDER BY user_id, idempotency_key, order_id
)
UPDATE stock SET reserved_count = reserved_count + more.count
FROM unnest($8::bigint[], $9::bigint[]) AS more (sku, count)
WHERE stock.sku = more.sku";

/// Writes the decision. This transaction must hold the locks of the stock it was made over.
pub(in crate::stock) async fn reserve(
    connection: &mut Transaction,
    requests: &[ReservationRequest],
    decision: &Decision,
) -> Result<(), sqlx::Error> {
    let query = about(RESERVE, requests, decision);
    observe("reserve", query.fetch_optional(connection)).await?;
    Ok(())
}

/// Like [`LOCK_STOCK`] and [`RESERVE`] in one statement. It writes nothing unless every SKU has
/// enough for all requests, and no key holds stock yet. A key that gets stock from another instance
/// at the same moment violates the unique index.
const RESERVE_FROM_PLENTY: &str = "
WITH more AS MATERIALIZED (
    SELECT * FROM unnest($8::bigint[], $9::bigint[]) AS more (sku, count)
), locked AS MATERIALIZED (
    SELECT sku, total_count - reserved_count AS left_count FROM stock WHERE sku = ANY($8) ORDER BY sku FOR UPDATE
), plenty AS MATERIALIZED (
    SELECT count(*) = cardinality($8) AND NOT EXISTS (
        SELECT FROM unnest($2::bigint[], $3::text[]) AS wanted (user_id, idempotency_key)
        JOIN reservations USING (user_id, idempotency_key)
    ) AS is_there
    FROM locked JOIN more USING (sku) WHERE left_count >= more.count
), held AS (
    INSERT INTO reservations (order_id, user_id, idempotency_key, skus, counts)
    SELECT order_id, user_id, idempotency_key, ($6)[first_item:last_item], ($7)[first_item:last_item]
    FROM plenty, unnest($1::bigint[], $2::bigint[], $3::text[], $4::int[], $5::int[])
        AS granted (order_id, user_id, idempotency_key, first_item, last_item)
    WHERE plenty.is_there
    ORDER BY user_id, idempotency_key, order_id
), reserved AS (
    UPDATE stock SET reserved_count = reserved_count + more.count
    FROM more, plenty
    WHERE stock.sku = more.sku AND plenty.is_there
)
SELECT is_there FROM plenty";

/// Writes a decision that was made as if there were plenty of everything. Returns whether there is;
/// if not, nothing is written.
pub(in crate::stock) async fn reserve_from_plenty(
    pool: &Pool,
    requests: &[ReservationRequest],
    decision: &Decision,
) -> Result<bool, sqlx::Error> {
    let query = about(RESERVE_FROM_PLENTY, requests, decision);
    observe("reserve_from_plenty", query.fetch_one(pool)).await
}

/// A statement with the decision as its parameters.
fn about<'a>(
    statement: &'static str,
    requests: &'a [ReservationRequest],
    decision: &Decision,
) -> QueryScalar<'a, Postgres, bool, PgArguments> {
    assert_eq!(decision.answers.len(), requests.len(), "the decision is about these requests");
    let granted = || decision.granted.iter().map(|index| &requests[*index]);
    let items = ItemArrays::collect(granted().map(|request| &request.lines));
    let (skus, counts): (Vec<i64>, Vec<i64>) =
        decision.reserved.iter().map(|(sku, count)| (i64::from(*sku), *count)).unzip();
    sqlx::query_scalar(statement)
        .bind(granted().map(|request| request.order.get()).collect::<Vec<i64>>())
        .bind(granted().map(|request| request.user.get()).collect::<Vec<i64>>())
        .bind(
            granted()
                .map(|request| request.key.as_ref().map(IdempotencyKey::as_str))
                .collect::<Vec<_>>(),
        )
        .bind(items.first)
        .bind(items.last)
        .bind(items.skus)
        .bind(items.counts)
        .bind(skus)
        .bind(counts)
}

/// The first effect of an order deletes its reservation, so a second one finds nothing to change.
/// Reservations are settled in order until the settled ones have `$3` or more lines in total.
const SETTLE: &str = "
WITH effects AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::bool[]) AS effects (order_id, takes)
), locked AS MATERIALIZED (
    SELECT order_id, cardinality(skus) AS lines FROM reservations
    WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE
), first AS MATERIALIZED (
    SELECT order_id, sum(lines) OVER (ORDER BY order_id) - lines < $3 AS fits FROM locked
), settled AS (
    DELETE FROM reservations USING first, effects
    WHERE first.fits AND reservations.order_id = first.order_id AND effects.order_id = first.order_id
    RETURNING reservations.order_id, effects.takes, reservations.skus, reservations.counts
), less AS MATERIALIZED (
    SELECT item.sku, sum(item.count)::bigint AS reserved,
        coalesce(sum(item.count) FILTER (WHERE settled.takes), 0)::bigint AS taken
    FROM settled, unnest(settled.skus, settled.counts) AS item (sku, count)
    GROUP BY item.sku
), ordered AS MATERIALIZED (
    SELECT stock.sku FROM stock WHERE stock.sku IN (SELECT less.sku FROM less) ORDER BY stock.sku FOR UPDATE
), updated AS (
    UPDATE stock SET reserved_count = reserved_count - less.reserved, total_count = total_count - less.taken
    FROM less JOIN ordered USING (sku)
    WHERE stock.sku = less.sku
)
SELECT order_id, fits FROM first";

#[derive(FromRow)]
struct SettledRow {
    order_id: i64,
    fits: bool,
}

/// What one transaction did. Orders in neither list hold nothing.
pub(in crate::stock) struct Progress {
    /// The pieces that these orders held were taken or returned.
    pub ended: Vec<OrderId>,
    /// These orders still hold their pieces: the transaction had reached its limit.
    pub left: HashSet<OrderId>,
}

/// Takes or returns the pieces of the orders, until `max_lines` or more lines are settled.
pub(in crate::stock) async fn settle(
    pool: &Pool,
    effects: &[Effect],
    max_lines: u16,
) -> Result<Progress, sqlx::Error> {
    let (orders, takes): (Vec<i64>, Vec<bool>) =
        effects.iter().map(|effect| (effect.order.get(), effect.kind == EffectKind::Take)).unzip();
    let query = sqlx::query_as(SETTLE).bind(orders).bind(takes).bind(i64::from(max_lines));
    let held: Vec<SettledRow> = observe("settle", query.fetch_all(pool)).await?;
    let mut progress = Progress { ended: Vec::new(), left: HashSet::new() };
    assert!(held.len() <= effects.len(), "{} of {} effects", held.len(), effects.len());
    for SettledRow { order_id, fits } in held {
        let order = decoded(order_id)?;
        if fits {
            progress.ended.push(order);
        } else {
            progress.left.insert(order);
        }
    }
    Ok(progress)
}

const AVAILABLE: &str =
    "SELECT sku, total_count - reserved_count AS left_count FROM stock WHERE sku = ANY($1)";

/// Returns how much of each SKU is left, without locking.
pub(in crate::stock) async fn available(
    pool: &Pool,
    skus: &[i64],
) -> Result<Available, sqlx::Error> {
    let query = sqlx::query_as(AVAILABLE).bind(skus);
    let rows: Vec<LeftRow> = observe("get_stock", query.fetch_all(pool)).await?;
    Ok(rows.into_iter().filter_map(LeftRow::known).collect())
}

/// Uses the index `reservations_open`, whose expression contains the step of order ids.
const OPEN_SINCE: &str = "
SELECT order_id, created_at
FROM reservations
WHERE order_id > 0 AND order_id % 1000 = $1 AND created_at < now() - $2 AND (created_at, order_id) > ($3, $4)
ORDER BY created_at, order_id
LIMIT $5";
const _: () = assert!(OrderId::STEP == 1000);

/// A reservation that has been open for a while.
#[derive(FromRow)]
pub(crate) struct OpenReservation {
    pub order_id: i64,
    pub created_at: DateTime<Utc>,
}

/// Selects open reservations.
pub(crate) struct OpenSince {
    /// The shard of the orders.
    pub shard: i64,
    /// Minimum age of the reservations.
    pub age: Duration,
    /// Only reservations after this one.
    pub after: (DateTime<Utc>, i64),
    pub limit: i64,
}

/// Open reservations, oldest first.
pub(crate) async fn open_since(
    pool: &Pool,
    wanted: &OpenSince,
) -> Result<Vec<OpenReservation>, sqlx::Error> {
    let query = sqlx::query_as(OPEN_SINCE)
        .bind(wanted.shard)
        .bind(wanted.age)
        .bind(wanted.after.0)
        .bind(wanted.after.1)
        .bind(wanted.limit);
    observe("open_reservations", query.fetch_all(pool)).await
}

const HELD_BY: &str = "
SELECT user_id, idempotency_key, order_id, skus, counts FROM reservations WHERE order_id = ANY($1) AND order_id > 0";

/// The reservations of these orders. Those whose lines cannot be read are left out.
pub(crate) async fn held_by(
    pool: &Pool,
    orders: &[i64],
) -> Result<Vec<ReservationRequest>, sqlx::Error> {
    let rows: Vec<HeldRow> =
        observe("held_by", sqlx::query_as(HELD_BY).bind(orders).fetch_all(pool)).await?;
    let mut held = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(lines) = row.lines() else { continue };
        held.push(ReservationRequest {
            order: decoded(row.order_id)?,
            user: decoded(row.user_id)?,
            key: row.idempotency_key.as_deref().map(decoded).transpose()?,
            lines,
        });
    }
    Ok(held)
}
