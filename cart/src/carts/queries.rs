//! The SQL of carts. Each statement serves many users at once.

use std::collections::HashSet;
use std::time::Duration;

use service_kit::database::{DatabaseError, Numbers, Pool, observe};
use shared_actors::fits;
use sqlx::FromRow;
use uuid::Uuid;

use super::state::{IntentChange, Loaded, OpenCheckouts, StoredCart, Write, Written};
use crate::checkout::{Intent, UNUSABLE_ANSWERS};
use crate::domain::{Cart, Line, OrderId, Quantity, Sku, UserId};
use crate::idempotency::{IdempotencyKey, StoredAnswer};

const LOAD: &str = "
SELECT asked.position, cart.version, cart.skus, cart.counts,
       CASE WHEN cart.unreported_at > now() - make_interval(secs => $4) AND cart.unreported_version = cart.version
            THEN cart.unreported_order END AS unreported_order,
       intent.id AS intent_id, intent.skus AS intent_skus, intent.counts AS intent_counts, intent.key AS intent_key,
       intent.leaving_skus, intent.leaving_counts, intent.attempts, intent.unusable_answers,
       intent.next_attempt_at <= now() AS is_due,
       answer.request, answer.order_id
FROM unnest($1::bigint[], $2::text[]) WITH ORDINALITY AS asked (user_id, key, position)
LEFT JOIN carts cart USING (user_id)
LEFT JOIN checkout_intents intent USING (user_id)
LEFT JOIN idempotency_keys answer
       ON answer.user_id = asked.user_id AND answer.key = asked.key
      AND answer.created_at > now() - make_interval(secs => $3)";

/// Rows are locked in the order of their users, so that the batches of two instances cannot
/// deadlock. The intent and the answers of a user are written only if the user's row is.
const WRITE: &str = "
WITH written AS (
    INSERT INTO carts AS cart (user_id, version, skus, counts, unreported_order, unreported_at, unreported_version)
    SELECT user_id, version + 1, skus::bigint[], counts::integer[], unreported,
           CASE WHEN unreported IS NOT NULL THEN now() END, CASE WHEN unreported IS NOT NULL THEN version + 1 END
    FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $23::bigint[])
         AS change (user_id, version, skus, counts, unreported)
    ORDER BY user_id
    ON CONFLICT (user_id) DO UPDATE
        SET version = excluded.version, skus = excluded.skus, counts = excluded.counts, updated_at = now(),
            unreported_order = excluded.unreported_order, unreported_version = excluded.unreported_version,
            unreported_at = CASE WHEN cart.unreported_order = excluded.unreported_order THEN cart.unreported_at ELSE excluded.unreported_at END
        WHERE cart.version = excluded.version - 1
    RETURNING user_id
), closed AS (
    DELETE FROM checkout_intents
    WHERE user_id = ANY ($5::bigint[]) AND user_id IN (SELECT user_id FROM written)
), opened AS (
    INSERT INTO checkout_intents (user_id, id, skus, counts, key)
    SELECT user_id, id, skus::bigint[], counts::integer[], key
    FROM unnest($6::bigint[], $7::uuid[], $8::text[], $9::text[], $10::text[]) AS intent (user_id, id, skus, counts, key)
    WHERE user_id IN (SELECT user_id FROM written)
), updated AS (
    UPDATE checkout_intents intent
    SET leaving_skus = change.skus::bigint[], leaving_counts = change.counts::integer[],
        attempts = change.attempts, unusable_answers = change.unusable_answers,
        next_attempt_at = coalesce(now() + make_interval(secs => change.rest), intent.next_attempt_at)
    FROM unnest($16::bigint[], $17::uuid[], $18::text[], $19::text[], $20::integer[], $21::integer[], $22::float8[])
         AS change (user_id, id, skus, counts, attempts, unusable_answers, rest)
    WHERE intent.id = change.id AND change.user_id IN (SELECT user_id FROM written)
), remembered AS (
    INSERT INTO idempotency_keys AS stored (user_id, key, request, order_id)
    SELECT user_id, key, request, order_id
    FROM unnest($11::bigint[], $12::text[], $13::text[], $14::bigint[]) AS answer (user_id, key, request, order_id)
    WHERE user_id IN (SELECT user_id FROM written)
    ON CONFLICT (user_id, key) DO UPDATE
        SET request = excluded.request, order_id = excluded.order_id, created_at = now()
        WHERE stored.created_at <= now() - make_interval(secs => $15)
)
SELECT user_id FROM written";

const OPEN_CHECKOUTS: &str = "
WITH open AS (
    SELECT user_id, next_attempt_at, unusable_answers FROM checkout_intents
    WHERE created_at < now() - make_interval(secs => $1)
)
SELECT (SELECT count(*) FROM open) AS count, ARRAY(
    SELECT user_id FROM open WHERE next_attempt_at <= now() AND unusable_answers < $2
    ORDER BY next_attempt_at LIMIT $3
) AS due";

const FORGET_KEYS: &str = "
DELETE FROM idempotency_keys WHERE ctid IN (
    SELECT ctid FROM idempotency_keys WHERE created_at <= now() - make_interval(secs => $1)
    ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// How long an order that may not have been answered is kept for the next checkout. An order lives
/// about as long without payment.
const UNREPORTED_FOR: Duration = Duration::from_mins(10);

type Skus = Option<Numbers<i64>>;
type Counts = Option<Numbers<i32>>;

#[derive(FromRow)]
struct Row {
    position: i64,
    version: Option<i64>,
    skus: Skus,
    counts: Counts,
    unreported_order: Option<i64>,
    intent_id: Option<Uuid>,
    intent_skus: Skus,
    intent_counts: Counts,
    intent_key: Option<String>,
    leaving_skus: Skus,
    leaving_counts: Counts,
    attempts: Option<i32>,
    unusable_answers: Option<i32>,
    is_due: Option<bool>,
    request: Option<String>,
    order_id: Option<i64>,
}

/// Reads the rows of `asked`, each with the answer stored under its key, in the order of `asked`. A
/// row that cannot be decoded fails alone.
pub async fn load(
    pool: &Pool,
    asked: &[(UserId, Option<IdempotencyKey>)],
    key_ttl: Duration,
) -> Result<Vec<Result<Loaded, sqlx::Error>>, DatabaseError> {
    let users: Vec<i64> = asked.iter().map(|(user, _)| user.get()).collect();
    let keys: Vec<Option<&str>> =
        asked.iter().map(|(_, key)| key.as_ref().map(IdempotencyKey::as_str)).collect();
    let query = sqlx::query_as(LOAD).bind(users).bind(keys).bind(key_ttl.as_secs_f64());
    let query = query.bind(UNREPORTED_FOR.as_secs_f64());
    let rows: Vec<Row> = observe("load_carts", query.fetch_all(pool)).await?;
    let mut loaded: Vec<_> = asked.iter().map(|_| Ok(Loaded::default())).collect();
    for row in rows {
        let position: usize = fits(row.position - 1);
        assert!(position < asked.len(), "row {position} of {}", asked.len());
        loaded[position] = row.into_loaded();
    }
    Ok(loaded)
}

/// Makes every change that has the next version of its row, in one transaction.
pub async fn write(
    pool: &Pool,
    writes: &[Write],
    key_ttl: Duration,
) -> Result<Vec<Written>, DatabaseError> {
    let mut changes = Changes::default();
    let mut users = HashSet::with_capacity(writes.len());
    // A statement can change a row only once. The second write of a user was decided on an old
    // version anyway.
    let first: Vec<bool> = writes.iter().map(|write| users.insert(write.user)).collect();
    for (write, _) in writes.iter().zip(&first).filter(|(_, first)| **first) {
        changes.push(write);
    }
    let written = observe("write_carts", changes.query(key_ttl).fetch_all(pool)).await?;
    let written: HashSet<i64> = written.into_iter().collect();
    assert!(
        written.len() <= users.len(),
        "{} of {} users were written",
        written.len(),
        users.len()
    );
    let outcome = |(write, first): (&Write, &bool)| {
        if *first && written.contains(&write.user.get()) {
            Written::Committed
        } else {
            Written::Stale
        }
    };
    Ok(writes.iter().zip(&first).map(outcome).collect())
}

#[derive(FromRow)]
struct OpenRow {
    count: i64,
    due: Vec<i64>,
}

/// Returns how many checkouts have been open for longer than `grace`, and up to `limit` users whose
/// checkouts are due.
pub async fn open_checkouts(
    pool: &Pool,
    grace: Duration,
    limit: u32,
) -> Result<OpenCheckouts, DatabaseError> {
    let query = sqlx::query_as(OPEN_CHECKOUTS).bind(grace.as_secs_f64());
    let query = query.bind(i64::from(UNUSABLE_ANSWERS)).bind(i64::from(limit));
    let OpenRow { count, due } = observe("open_checkouts", query.fetch_one(pool)).await?;
    assert!(due.len() <= fits::<u32, usize>(limit), "{} checkouts, limit {limit}", due.len());
    Ok(OpenCheckouts { count, due: due.into_iter().filter_map(UserId::new).collect() })
}

/// Deletes up to `limit` keys older than `ttl`, and returns how many were deleted.
pub async fn forget_keys(pool: &Pool, ttl: Duration, limit: u32) -> Result<u64, DatabaseError> {
    let query = sqlx::query(FORGET_KEYS).bind(ttl.as_secs_f64()).bind(i64::from(limit));
    Ok(observe("forget_keys", query.execute(pool)).await?.rows_affected())
}

/// The parameters of [`WRITE`], one vector per column. Lists within a column are sent as array
/// literals, because nested arrays in `PostgreSQL` must be rectangular.
#[derive(Default)]
struct Changes {
    users: Vec<i64>,
    versions: Vec<i64>,
    skus: Vec<String>,
    counts: Vec<String>,
    unreported: Vec<Option<i64>>,
    closed: Vec<i64>,
    opened: Opened,
    updated: Updated,
    answers: Answers,
}

#[derive(Default)]
struct Opened {
    users: Vec<i64>,
    ids: Vec<Uuid>,
    skus: Vec<String>,
    counts: Vec<String>,
    keys: Vec<Option<String>>,
}

#[derive(Default)]
struct Updated {
    users: Vec<i64>,
    ids: Vec<Uuid>,
    skus: Vec<String>,
    counts: Vec<String>,
    attempts: Vec<i32>,
    unusable_answers: Vec<i32>,
    rests: Vec<Option<f64>>,
}

#[derive(Default)]
struct Answers {
    users: Vec<i64>,
    keys: Vec<String>,
    requests: Vec<String>,
    orders: Vec<Option<i64>>,
}

impl Changes {
    fn push(&mut self, Write { user, version, change }: &Write) {
        let user = user.get();
        let (skus, counts) = literals(&change.cart);
        self.users.push(user);
        self.versions.push(*version);
        self.skus.push(skus);
        self.counts.push(counts);
        self.unreported.push(change.unreported.map(OrderId::get));
        match &change.intent {
            IntentChange::Keep => {}
            IntentChange::Close => self.closed.push(user),
            IntentChange::Open(intent) => {
                let (skus, counts) = literals(&intent.ordered);
                self.opened.users.push(user);
                self.opened.ids.push(intent.id);
                self.opened.skus.push(skus);
                self.opened.counts.push(counts);
                self.opened.keys.push(intent.key.as_ref().map(|key| key.as_str().to_owned()));
            }
            IntentChange::Update { intent, rest } => {
                let (skus, counts) = literals(&intent.leaving);
                self.updated.users.push(user);
                self.updated.ids.push(intent.id);
                self.updated.skus.push(skus);
                self.updated.counts.push(counts);
                self.updated.attempts.push(fits(intent.attempts));
                self.updated.unusable_answers.push(fits(intent.unusable_answers));
                self.updated.rests.push(rest.map(|rest| rest.as_secs_f64()));
            }
        }
        for (key, answer) in &change.answers {
            self.answers.users.push(user);
            self.answers.keys.push(key.as_str().to_owned());
            self.answers.requests.push(answer.request.clone());
            self.answers.orders.push(answer.order.map(OrderId::get));
        }
    }

    /// Every column of a table has the same number of rows.
    fn assert_rectangular(&self) {
        let Self { users, opened, updated, answers, .. } = self;
        let rows = users.len();
        assert!(
            [self.versions.len(), self.skus.len(), self.counts.len(), self.unreported.len()]
                .iter()
                .all(|len| *len == rows)
        );
        let rows = opened.users.len();
        let columns = [opened.ids.len(), opened.skus.len(), opened.counts.len(), opened.keys.len()];
        assert!(columns.iter().all(|len| *len == rows), "intents to open: {rows}, {columns:?}");
        let rows = updated.users.len();
        let columns =
            [updated.ids.len(), updated.skus.len(), updated.counts.len(), updated.rests.len()];
        assert!(columns.iter().all(|len| *len == rows), "intents to update: {rows}, {columns:?}");
        let rows = answers.users.len();
        let columns = [answers.keys.len(), answers.requests.len(), answers.orders.len()];
        assert!(columns.iter().all(|len| *len == rows), "answers: {rows}, {columns:?}");
    }

    fn query(
        self,
        key_ttl: Duration,
    ) -> sqlx::query::QueryScalar<'static, sqlx::Postgres, i64, sqlx::postgres::PgArguments> {
        self.assert_rectangular();
        sqlx::query_scalar(WRITE)
            .bind(self.users)
            .bind(self.versions)
            .bind(self.skus)
            .bind(self.counts)
            .bind(self.closed)
            .bind(self.opened.users)
            .bind(self.opened.ids)
            .bind(self.opened.skus)
            .bind(self.opened.counts)
            .bind(self.opened.keys)
            .bind(self.answers.users)
            .bind(self.answers.keys)
            .bind(self.answers.requests)
            .bind(self.answers.orders)
            .bind(key_ttl.as_secs_f64())
            .bind(self.updated.users)
            .bind(self.updated.ids)
            .bind(self.updated.skus)
            .bind(self.updated.counts)
            .bind(self.updated.attempts)
            .bind(self.updated.unusable_answers)
            .bind(self.updated.rests)
            .bind(self.unreported)
    }
}

fn literals(cart: &Cart) -> (String, String) {
    let literal = |numbers: Vec<String>| format!("{{{}}}", numbers.join(","));
    let skus = cart.lines().map(|line| line.sku.get().to_string()).collect();
    let counts = cart.lines().map(|line| line.count.get().to_string()).collect();
    (literal(skus), literal(counts))
}

impl Row {
    fn into_loaded(self) -> Result<Loaded, sqlx::Error> {
        let number = |number: Option<i32>| {
            let number = number.and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| sqlx::Error::Decode("a checkout has no number of attempts".into()))
        };
        let cart = cart(self.skus, self.counts)?;
        let intent = match self.intent_id {
            None => None,
            Some(id) => {
                let ordered = self::cart(self.intent_skus, self.intent_counts)?;
                let is_whole = self.leaving_skus.is_none();
                let leaving = if is_whole {
                    ordered.clone()
                } else {
                    self::cart(self.leaving_skus, self.leaving_counts)?
                };
                Some(Intent {
                    id,
                    ordered,
                    leaving,
                    key: self.intent_key.map(IdempotencyKey::stored),
                    attempts: number(self.attempts)?,
                    unusable_answers: number(self.unusable_answers)?,
                    is_due: self.is_due.unwrap_or_default(),
                })
            }
        };
        let order = self.order_id.map(OrderId::new);
        Ok(Loaded {
            stored: StoredCart {
                version: self.version.unwrap_or_default(),
                cart,
                intent,
                unreported: self.unreported_order.map(OrderId::new),
            },
            answer: self.request.map(|request| StoredAnswer { request, order }),
        })
    }
}

fn cart(skus: Skus, counts: Counts) -> Result<Cart, sqlx::Error> {
    let (Some(skus), Some(counts)) = (skus, counts) else { return Ok(Cart::default()) };
    let (skus, counts) = (skus.get()?, counts.get()?);
    let line = |(sku, count): (&i64, &i32)| {
        let sku = u32::try_from(*sku).ok().and_then(Sku::new)?;
        let count = u16::try_from(*count).ok().and_then(Quantity::new)?;
        Some(Line { sku, count })
    };
    let lines: Option<Cart> = skus.iter().zip(counts).map(line).collect();
    let wrong = || format!("a row does not contain valid cart lines: {skus:?} {counts:?}");
    lines.filter(|_| skus.len() == counts.len()).ok_or_else(|| sqlx::Error::Decode(wrong().into()))
}
