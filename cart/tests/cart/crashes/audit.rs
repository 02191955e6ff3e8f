//! What happened to each cart, according to triggers in its database.

use std::collections::HashMap;

use sqlx::{AssertSqlSafe, Executor, PgConnection};
use uuid::Uuid;

use super::ledger::Pieces;
use crate::support::Shop;

const TRIGGERS: &str = "
create table seen_carts (user_id bigint, version bigint, skus bigint[], counts integer[], tx bigint);
create function see_cart() returns trigger language plpgsql as $$ begin
    insert into seen_carts values (new.user_id, new.version, new.skus, new.counts, txid_current());
    return null;
end $$;
create trigger see_cart after insert or update on carts for each row execute function see_cart();

create table seen_intents (user_id bigint, id uuid, skus bigint[], counts integer[], is_open boolean, tx bigint);
create function see_intent() returns trigger language plpgsql as $$ begin
    if tg_op = 'INSERT' then
        insert into seen_intents values (new.user_id, new.id, new.skus, new.counts, true, txid_current());
    else
        insert into seen_intents values (old.user_id, old.id, old.skus, old.counts, false, txid_current());
    end if;
    return null;
end $$;
create trigger see_intent after insert or delete on checkout_intents for each row execute function see_intent()";

/// One version of a cart.
#[derive(Debug, Default)]
pub struct Version {
    pub number: i64,
    pub cart: Pieces,
    /// The checkout that this change opened.
    pub opened: Option<(Uuid, Pieces)>,
    /// The checkout that this change settled.
    pub closed: Option<Uuid>,
}

type CartRow = (i64, i64, Vec<i64>, Vec<i32>, i64);
type IntentRow = (i64, Uuid, Vec<i64>, Vec<i32>, bool, i64);

/// Begins to record.
pub async fn begin(shop: &Shop) {
    for database in &shop.databases {
        let mut connection: PgConnection = database.connect().await;
        connection.execute(AssertSqlSafe(TRIGGERS)).await.unwrap();
    }
}

/// All versions of all carts, by user, oldest first.
pub async fn versions(shop: &Shop) -> HashMap<i64, Vec<Version>> {
    let mut all: HashMap<i64, Vec<Version>> = HashMap::new();
    for database in &shop.databases {
        let mut connection: PgConnection = database.connect().await;
        let query = "select user_id, id, skus, counts, is_open, tx from seen_intents";
        let intents: Vec<IntentRow> =
            sqlx::query_as(query).fetch_all(&mut connection).await.unwrap();
        let mut by_change: HashMap<(i64, i64), Vec<IntentRow>> = HashMap::new();
        for intent in intents {
            by_change.entry((intent.0, intent.5)).or_default().push(intent);
        }
        let query = "select user_id, version, skus, counts, tx from seen_carts order by version";
        let carts: Vec<CartRow> = sqlx::query_as(query).fetch_all(&mut connection).await.unwrap();
        for (user, number, skus, counts, tx) in carts {
            let mut seen = Version { number, cart: pieces(&skus, &counts), ..Version::default() };
            for (_, id, skus, counts, is_open, _) in
                by_change.remove(&(user, tx)).unwrap_or_default()
            {
                if is_open {
                    seen.opened = Some((id, pieces(&skus, &counts)));
                } else {
                    seen.closed = Some(id);
                }
            }
            all.entry(user).or_default().push(seen);
        }
        assert!(by_change.is_empty(), "a checkout changed without its cart: {by_change:?}");
    }
    all
}

pub fn pieces(skus: &[i64], counts: &[i32]) -> Pieces {
    skus.iter().copied().zip(counts.iter().map(|count| i64::from(*count))).collect()
}
