//! `cart verify`: what it finds in sound databases, beside a shop at work, and in corrupt ones.

use std::cell::{Cell, RefCell};

use cart::Settings;
use cart::verify::verify;
use futures::join;
use service_kit::settings::Reader;
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use crate::crashes::crew::Crew;
use crate::crashes::ledger::Ledger;
use crate::crashes::load::Load;
use crate::support::{Client, Shop};

/// How often the databases are checked while the shop works.
const LOOKS: u32 = 8;

#[actix_web::test]
async fn a_shop_at_work_is_sound_at_every_moment() {
    let shop = Shop::open().await;
    let crew = Crew::start(&shop).await;
    let ledger = RefCell::<Ledger>::default();
    let load = Load::new(crew.clients(), &ledger);
    let (orders, open) = (Cell::new(0), Cell::new(0));
    let look = async {
        let mut looks = 0;
        // A moment with an open checkout whose order exists must be among them.
        while looks < LOOKS || orders.get() == 0 || open.get() == 0 {
            looks += 1;
            let report = crew.verify().await;
            assert!(report.holds(), "{report}");
            for finding in &report.findings {
                match finding.invariant.name {
                    "answer-has-order" => orders.set(finding.checked),
                    "checkout-fits-order" => open.set(open.get() + finding.open),
                    _ => {}
                }
            }
        }
        load.stop();
    };
    join!(load.run(1), look);
}

/// A corruption: the invariant that it violates, where (shard of cart, or loms), and how. Each one
/// has its own user. The names in braces are replaced: {user}, {order} (the user's order), {other}
/// (the order of another user).
type Corruption = (&'static str, Where, &'static str);

#[derive(Clone, Copy)]
enum Where {
    Cart,
    Loms,
}

const CORRUPTIONS: [Corruption; 18] = [
    (
        "cart-lines-valid",
        Where::Cart,
        "update carts set skus = '{1003,1002}', counts = '{1,1}' where user_id = {user}",
    ),
    (
        "cart-lines-valid",
        Where::Cart,
        "update carts set skus = '{1003,NULL}', counts = '{1,1}' where user_id = {user}",
    ),
    (
        "cart-lines-valid",
        Where::Cart,
        "update carts set skus = '{{1003},{1004}}', counts = '{1,1}' where user_id = {user}",
    ),
    (
        "cart-lines-valid",
        Where::Cart,
        "update carts set skus = '{1003}', counts = '{70000}' where user_id = {user}",
    ),
    (
        "cart-lines-valid",
        Where::Cart,
        "update carts set skus = '{1003}', counts = '{}' where user_id = {user}",
    ),
    (
        "checkout-lines-valid",
        Where::Cart,
        "insert into checkout_intents (id, user_id, skus, counts) values (gen_random_uuid(), {user}, '{1003}', '{0}')",
    ),
    (
        "checkout-lines-valid",
        Where::Cart,
        "insert into checkout_intents (id, user_id, skus, counts) values (gen_random_uuid(), {user}, '{}', '{}')",
    ),
    (
        "checkout-has-cart",
        Where::Cart,
        "insert into checkout_intents (id, user_id, skus, counts) values (gen_random_uuid(), {user}, '{1003}', '{1}'); delete from carts where user_id = {user}",
    ),
    (
        "checkout-takes-what-it-orders",
        Where::Cart,
        "insert into checkout_intents (id, user_id, skus, counts, leaving_skus, leaving_counts) values (gen_random_uuid(), {user}, '{1003}', '{1}', '{1003}', '{2}')",
    ),
    (
        "checkout-takes-what-is-there",
        Where::Cart,
        "insert into checkout_intents (id, user_id, skus, counts) values (gen_random_uuid(), {user}, '{1004}', '{1}')",
    ),
    (
        "checkout-fits-order",
        Where::Cart,
        "insert into checkout_intents (id, user_id, skus, counts) values ('{key}', {user}, '{1004}', '{1}')",
    ),
    (
        "answered-checkout-closed",
        Where::Cart,
        "insert into checkout_intents (id, user_id, skus, counts) values ('{key}', {user}, '{1003}', '{2}')",
    ),
    (
        "answer-valid",
        Where::Cart,
        "update idempotency_keys set order_id = null where user_id = {user} and order_id is not null",
    ),
    (
        "answer-valid",
        Where::Cart,
        "update idempotency_keys set request = 'GET /' where user_id = {user}",
    ),
    (
        "answer-has-order",
        Where::Cart,
        "update idempotency_keys set order_id = {other} where user_id = {user}",
    ),
    ("answer-has-order", Where::Loms, "update orders set state = 'FAILED' where user_id = {user}"),
    (
        "order-made-by-checkout",
        Where::Loms,
        "update orders set idempotency_key = 'by hand' where user_id = {user}",
    ),
    (
        "unreported-has-order",
        Where::Cart,
        "update carts set unreported_order = 999000, unreported_at = now(), unreported_version = version where user_id = {user}",
    ),
];

/// Without these, most corruptions are impossible. Somebody who corrupts a database may drop them, too.
const RULES: &str = "do $$ declare rule record; begin
    for rule in select conrelid::regclass as owner, conname from pg_constraint
        where contype in ('c', 'f') and conrelid in ('carts'::regclass, 'checkout_intents'::regclass)
    loop execute format('alter table %s drop constraint %I', rule.owner, rule.conname); end loop;
end $$";

#[actix_web::test]
async fn each_of_many_corruptions_is_reported_by_name() {
    let mut shop = Shop::open().await;
    shop.set("CHECKOUT_GRACE", "1h");
    let mut crew = Crew::start(&shop).await;
    let client = crew.clients()[0].clone();
    let mut orders = Vec::new();
    for user in 1..=20 {
        orders.push(order_of(&client, user).await);
    }
    let report = crew.verify().await;
    assert!(report.holds(), "{report}");
    // A running cart would settle the checkouts.
    crew.kill(0);
    crew.kill(1);

    let mut carts = connections(&shop.databases).await;
    let mut loms = connections(&crew.loms_databases).await;
    for connection in &mut carts {
        connection.execute(RULES).await.unwrap();
    }
    let mut expected = Vec::new();
    for (user, (name, place, statement)) in (1..).zip(CORRUPTIONS) {
        let (order, other) = (orders[user - 1], orders[18]);
        let key = key_of(&mut loms, order).await;
        let statement = statement
            .replace("{user}", &user.to_string())
            .replace("{other}", &other.to_string())
            .replace("{key}", &key);
        let databases = match place {
            Where::Cart => &mut carts,
            Where::Loms => &mut loms,
        };
        let shard = usize::try_from(order % 1000).unwrap();
        databases[shard].execute(AssertSqlSafe(statement)).await.unwrap();
        let reported = match name {
            "answer-has-order" if matches!(place, Where::Cart) => other,
            "checkout-fits-order"
            | "answered-checkout-closed"
            | "answer-has-order"
            | "order-made-by-checkout" => order,
            "unreported-has-order" => 999_000,
            _ => i64::try_from(user).unwrap(),
        };
        expected.push((name, reported));
    }
    // A whole cart in the wrong database.
    let shard = usize::try_from(orders[19] % 1000).unwrap();
    let moved =
        "insert into carts (user_id, version, skus, counts) values (20, 1, '{1003}', '{1}')";
    carts[1 - shard].execute(moved).await.unwrap();
    expected.push(("cart-on-users-shard", 20));

    let report = crew.verify().await;
    for (name, id) in &expected {
        let finding = report.findings.iter().find(|finding| finding.invariant.name == *name);
        assert!(finding.unwrap().ids.contains(id), "{name} {id}:\n{report}");
    }
    let violated: Vec<_> = report.violated().map(|finding| finding.invariant.name).collect();
    assert_eq!(violated.len(), report.findings.len(), "every invariant can be violated: {report}");
}

/// Fills a cart with two pieces, orders them under a key, and puts a piece into the cart. Returns the
/// order.
async fn order_of(client: &Client, user: i64) -> i64 {
    client.fill(user, &[(1003, 2)]).await;
    let answer = client.checkout_with_key(user, "k").await;
    let order = answer.body["orderID"].as_i64().unwrap_or_else(|| panic!("{answer:?}"));
    assert_eq!(client.add_with_key(user, 1003, 2, "a").await.status, 200);
    order
}

async fn connections(databases: &[dev::testing::Database; 2]) -> [PgConnection; 2] {
    [databases[0].connect().await, databases[1].connect().await]
}

async fn key_of(loms: &mut [PgConnection; 2], order: i64) -> String {
    let shard = usize::try_from(order % 1000).unwrap();
    let query = "select idempotency_key from orders where id = $1";
    sqlx::query_scalar(query).bind(order).fetch_one(&mut loms[shard]).await.unwrap()
}

#[actix_web::test]
async fn databases_that_are_not_the_configured_shards_are_refused() {
    let shop = Shop::open().await;
    let crew = Crew::start(&shop).await;
    let refusal = async |change: fn(&str) -> Option<String>| {
        let env = crew.verify_env().into_iter();
        let env = env.filter_map(|(name, value)| Some((change(&name)?, value)));
        let settings = Settings::read(Reader::from_pairs(env)).unwrap();
        verify(&settings).await.unwrap_err().to_string()
    };
    let refused = refusal(|name| Some(swapped(name, "LOMS_"))).await;
    assert!(refused.contains("of loms: check the settings LOMS_DATABASE_MASTER"), "{refused}");
    let refused = refusal(|name| Some(swapped(name, ""))).await;
    assert!(refused.contains("holds the carts of shard"), "{refused}");
    let without_shard_1 = |name: &str| {
        let is_of_it = name.starts_with("LOMS_") && name.ends_with("_1");
        (!is_of_it).then(|| name.to_owned())
    };
    let refused = refusal(without_shard_1).await;
    assert!(refused.contains("loms has 2 shards, but"), "{refused}");
    let nowhere = refusal(|name| Some(name.replace("LOMS_DATABASE_MASTER_NAME_1", "UNUSED"))).await;
    assert!(nowhere.contains("the database of shard 1 of loms cannot be read"), "{nowhere}");
}

/// The name of the same setting of the other shard.
fn swapped(name: &str, prefix: &str) -> String {
    let place = name.strip_prefix(prefix).filter(|rest| rest.starts_with("DATABASE_MASTER"));
    let other = place.and_then(|place| match place.split_at(place.len() - 1) {
        (place, "0") => Some(format!("{prefix}{place}1")),
        (place, "1") => Some(format!("{prefix}{place}0")),
        _ => None,
    });
    other.unwrap_or_else(|| name.to_owned())
}
