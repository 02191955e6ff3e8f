//! What must be true after a crash: each piece that was added is in the cart, in exactly one order,
//! or removed, and every answer is true.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use sqlx::PgConnection;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::audit::{self, Version, pieces};
use super::crew::Crew;
use super::ledger::{Ledger, Pieces};
use super::load::{Outcome, SKUS, USERS, send};

/// How long requests may stay unanswered after the restart.
const REPAIRED_WITHIN: Duration = Duration::from_secs(30);

/// How often an unanswered request is sent again.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Everything that is wrong.
pub async fn violations(crew: &Crew<'_>, ledger: &RefCell<Ledger>) -> Vec<String> {
    let mut wrong = ask_again(crew, ledger).await;
    crew.shop.all_settled().await;
    let report = crew.verify().await;
    if !report.holds() || report.findings.iter().any(|finding| finding.open > 0) {
        wrong.push(report.to_string());
    }
    let orders = Orders::read(crew).await;
    let mut carts = HashMap::new();
    for (user, versions) in audit::versions(crew.shop).await {
        carts.insert(user, Told::by(user, &versions, &orders, &mut wrong));
    }
    for user in 1..=USERS {
        let told = carts.remove(&user).unwrap_or_default();
        let shown: Pieces = crew.clients()[0]
            .lines(user)
            .await
            .into_iter()
            .map(|(sku, count)| (i64::try_from(sku).unwrap(), i64::try_from(count).unwrap()))
            .collect();
        told.compare(user, ledger.borrow().added.get(&user), &shown, &mut wrong);
        told.account_for(user, &mut ledger.borrow_mut(), &mut wrong);
    }
    let mut ledger = ledger.borrow_mut();
    orders.deny(&ledger, &mut wrong);
    wrong.append(&mut ledger.contradictions);
    wrong
}

/// Repeats the requests that were not answered. Each must get an answer now.
pub async fn ask_again(crew: &Crew<'_>, ledger: &RefCell<Ledger>) -> Vec<String> {
    let (mut wrong, deadline) = (Vec::new(), Instant::now() + REPAIRED_WITHIN);
    let open = std::mem::take(&mut ledger.borrow_mut().open);
    for (turn, (user, action)) in open.into_iter().enumerate() {
        let mut tries = interval(ASK_EVERY);
        tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tries.tick().await;
            ledger.borrow_mut().sent(user, &action, &SKUS);
            match send(&crew.clients()[turn % 2], user, &action).await {
                Outcome::Done(order) => {
                    ledger.borrow_mut().done(user, &action, order);
                    break;
                }
                Outcome::Refused => break,
                Outcome::Unknown | Outcome::NotSent if Instant::now() > deadline => {
                    wrong.push(format!("{action:?} of user {user} is not answered"));
                    break;
                }
                Outcome::Unknown | Outcome::NotSent => {}
            }
        }
    }
    wrong
}

/// The orders in the databases of loms.
struct Orders {
    /// Orders that hold stock, by their key.
    by_key: HashMap<String, (i64, i64, Pieces)>,
    wrong: Vec<String>,
}

impl Orders {
    async fn read(crew: &Crew<'_>) -> Self {
        type Row = (i64, i64, Option<String>, Vec<i64>, Vec<i64>);
        let (mut by_key, mut wrong) = (HashMap::new(), Vec::new());
        for database in &crew.loms_databases {
            let mut connection: PgConnection = database.connect().await;
            let query = "select id, user_id, idempotency_key, skus, counts from orders where state <> 'FAILED'";
            let rows: Vec<Row> = sqlx::query_as(query).fetch_all(&mut connection).await.unwrap();
            for (id, user, key, skus, counts) in rows {
                let lines: Pieces = skus.into_iter().zip(counts).collect();
                let key = key.unwrap_or_default();
                if let Some((other, ..)) = by_key.insert(key, (id, user, lines)) {
                    wrong.push(format!("orders {other} and {id} are of the same checkout"));
                }
            }
        }
        Self { by_key, wrong }
    }

    /// Reports answers that are not true.
    fn deny(mut self, ledger: &Ledger, wrong: &mut Vec<String>) {
        wrong.append(&mut self.wrong);
        let orders: HashMap<i64, i64> =
            self.by_key.values().map(|(id, user, _)| (*id, *user)).collect();
        for (user, told) in &ledger.orders {
            let untrue = told.iter().filter(|order| orders.get(order) != Some(user));
            wrong.extend(untrue.map(|order| format!("user {user} got order {order}, which does not exist, has failed or belongs to another user")));
        }
    }
}

/// The pieces of one user's cart over all its versions.
#[derive(Debug, Default)]
struct Told {
    added: Pieces,
    ordered: Pieces,
    /// Without those that were ordered before.
    removed: Pieces,
    cart: Pieces,
    /// How many changes removed a SKU.
    removals: HashMap<i64, usize>,
    /// The orders, and whether pieces were added after the checkout began.
    orders: HashMap<i64, bool>,
}

/// A checkout between its two changes of the cart.
struct Open {
    id: Uuid,
    ordered: Pieces,
    /// The ordered pieces that have been in the cart ever since.
    leaving: Pieces,
    added_since: bool,
}

impl Told {
    fn by(user: i64, versions: &[Version], orders: &Orders, wrong: &mut Vec<String>) -> Self {
        let mut told = Self::default();
        let mut open: Option<Open> = None;
        let mut known: HashSet<&str> = HashSet::new();
        for (at, seen) in (1..).zip(versions) {
            let mut say = |what: &str| {
                wrong.push(format!("version {} of the cart of user {user}: {what}", seen.number));
            };
            if seen.number != at {
                say("it is not the next one");
            }
            let (more, less) = differences(&told.cart, &seen.cart);
            if let Some(closed) = seen.closed {
                let of = open.take_if(|open| open.id == closed);
                let Some(Open { id, ordered, leaving, added_since }) = of else {
                    say("it settles a checkout that is not open");
                    continue;
                };
                match orders.by_key.get_key_value(&id.to_string()) {
                    Some((key, (order, owner, lines))) => {
                        known.insert(key);
                        told.orders.insert(*order, added_since);
                        if (*owner, lines) != (user, &ordered) {
                            say("the order is not what was in the cart");
                        }
                        if less != leaving || !more.is_empty() {
                            say(&format!("{less:?} leave the cart instead of {leaving:?}"));
                        }
                        add(&mut told.ordered, &ordered);
                        // These were removed after they had been ordered.
                        let (both, _) = differences(&leaving, &ordered);
                        subtract(&mut told.removed, &both);
                    }
                    None if less.is_empty() && more.is_empty() => {}
                    None => say("pieces leave the cart without an order"),
                }
            } else {
                if !more.is_empty() && !less.is_empty() || more.len() > 1 {
                    say(&format!("{more:?} are added and {less:?} removed by one change"));
                }
                add(&mut told.added, &more);
                add(&mut told.removed, &less);
                for sku in less.keys() {
                    *told.removals.entry(*sku).or_default() += 1;
                }
                if !more.is_empty() {
                    told.orders.values_mut().for_each(|added_since| *added_since = true);
                    if let Some(open) = &mut open {
                        open.added_since = true;
                    }
                }
            }
            if let Some(open) = &mut open {
                for (sku, count) in &mut open.leaving {
                    *count = (*count).min(seen.cart.get(sku).copied().unwrap_or_default());
                }
                open.leaving.retain(|_, count| *count > 0);
            }
            if let Some((id, ordered)) = &seen.opened {
                if ordered != &seen.cart || open.is_some() {
                    say("it opens a checkout that is not one of the whole cart");
                }
                let (ordered, leaving) = (ordered.clone(), ordered.clone());
                open = Some(Open { id: *id, ordered, leaving, added_since: false });
            }
            told.cart.clone_from(&seen.cart);
        }
        let unknown = orders
            .by_key
            .iter()
            .filter(|(key, (_, owner, _))| *owner == user && !known.contains(key.as_str()));
        wrong.extend(unknown.map(|(_, (id, ..))| {
            format!("order {id} exists, but no checkout took its pieces from a cart")
        }));
        told
    }

    fn compare(&self, user: i64, added: Option<&Pieces>, shown: &Pieces, wrong: &mut Vec<String>) {
        let none = Pieces::new();
        let added = added.unwrap_or(&none);
        let mut rest = self.ordered.clone();
        add(&mut rest, &self.removed);
        add(&mut rest, shown);
        for (what, pieces) in [
            ("the versions of the cart show", &self.added),
            ("orders, removals and cart have", &rest),
        ] {
            let (more, less) = differences(added, pieces);
            if !more.is_empty() || !less.is_empty() {
                wrong.push(format!(
                    "additions of {added:?} were confirmed to user {user}; {what} {more:?} more, {less:?} less"
                ));
            }
        }
    }
}

impl Told {
    /// Each order was returned to a client, unless something was added before the client retried. Only
    /// requests removed pieces.
    fn account_for(&self, user: i64, ledger: &mut Ledger, wrong: &mut Vec<String>) {
        let answered = ledger.orders.get(&user).cloned().unwrap_or_default();
        for (order, added_since) in &self.orders {
            if answered.contains(order) || ledger.superseded.contains(order) {
                continue;
            }
            if *added_since {
                ledger.superseded.insert(*order);
            } else {
                wrong.push(format!("order {order} was never returned to user {user}"));
            }
        }
        for (sku, removals) in &self.removals {
            let wanted = ledger.removals.get(&(user, *sku)).copied().unwrap_or_default();
            if *removals > wanted {
                wrong.push(format!("SKU {sku} of user {user} was removed {removals} times, {wanted} requests wanted it"));
            }
        }
    }
}

/// What `after` has more than `before`, and what it has less.
fn differences(before: &Pieces, after: &Pieces) -> (Pieces, Pieces) {
    let beyond = |one: &Pieces, other: &Pieces| {
        let left = one
            .iter()
            .map(|(sku, count)| (*sku, count - other.get(sku).copied().unwrap_or_default()));
        left.filter(|(_, count)| *count > 0).collect()
    };
    (beyond(after, before), beyond(before, after))
}

fn add(to: &mut Pieces, pieces: &Pieces) {
    for (sku, count) in pieces {
        *to.entry(*sku).or_default() += count;
    }
}

fn subtract(from: &mut Pieces, pieces: &Pieces) {
    for (sku, count) in pieces {
        *from.entry(*sku).or_default() -= count;
    }
}

#[test]
fn a_piece_that_vanishes_or_is_ordered_twice_is_noticed() {
    let cart = |counts: &[i32]| pieces(&[1, 2][..counts.len()], counts);
    let id = Uuid::nil();
    let versions = [
        Version { number: 1, cart: cart(&[2]), ..Version::default() },
        Version { number: 2, cart: cart(&[2]), opened: Some((id, cart(&[2]))), closed: None },
        Version { number: 3, cart: cart(&[3]), ..Version::default() },
        Version { number: 4, cart: cart(&[1]), opened: None, closed: Some(id) },
    ];
    let check = |versions: &[Version], orders: &[(&str, i64)]| {
        let order = |(key, id): &(&str, i64)| ((*key).to_owned(), (*id, 7, cart(&[2])));
        let orders = Orders { by_key: orders.iter().map(order).collect(), wrong: Vec::new() };
        let mut wrong = Vec::new();
        let told = Told::by(7, versions, &orders, &mut wrong);
        told.compare(7, Some(&cart(&[3])), &cart(&[1]), &mut wrong);
        wrong
    };
    let key = id.to_string();
    assert_eq!(check(&versions, &[(&key, 1000)]), Vec::<String>::new());
    let twice = check(&versions, &[(&key, 1000), ("another", 2000)]);
    assert_eq!(twice, ["order 2000 exists, but no checkout took its pieces from a cart"]);
    assert!(check(&versions, &[])[0].contains("without an order"));
    let mut vanished = versions;
    vanished[3].cart = Pieces::new();
    let vanished = check(&vanished, &[(&key, 1000)]);
    assert!(vanished[0].contains("{1: 3} leave the cart instead of {1: 2}"), "{vanished:?}");
}
