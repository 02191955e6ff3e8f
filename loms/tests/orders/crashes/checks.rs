//! What must be true after a crash: every answer that a client received, and every invariant of the
//! databases.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use loms::verify::verify;
use tokio::time::{MissedTickBehavior, interval};

use super::client::{Caller, Outcome};
use super::ledger::{Ledger, Told};
use crate::shop::Backend;

/// How long calls may stay unanswered after the restart. Then how long the checker may still find
/// something.
const REPAIRED_WITHIN: Duration = Duration::from_secs(10);

/// How often the checker looks, and how often an unanswered call is sent again.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Everything that is wrong.
pub async fn violations(
    backend: &Backend,
    caller: &Caller,
    ledger: &RefCell<Ledger>,
) -> Vec<String> {
    let mut wrong = ask_again(caller, ledger, Instant::now() + REPAIRED_WITHIN).await;
    wrong.extend(unrepaired(backend, Instant::now() + REPAIRED_WITHIN).await);
    let tables = Tables::read(backend).await;
    wrong.extend(tables.deny(&ledger.borrow()));
    wrong.append(&mut ledger.borrow_mut().contradictions);
    wrong
}

/// Repeats the calls that were not answered. Each must get an answer now.
async fn ask_again(caller: &Caller, ledger: &RefCell<Ledger>, deadline: Instant) -> Vec<String> {
    let open: Vec<_> = {
        let ledger = ledger.borrow();
        let creates = ledger.creates.iter().filter(|(_, asked)| asked.told == Told::Unknown);
        creates.map(|(key, asked)| (key.clone(), asked.clone())).collect()
    };
    let mut wrong = Vec::new();
    for (turn, (key, asked)) in open.into_iter().enumerate() {
        let mut tries = interval(LOOK_EVERY);
        tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let told = loop {
            tries.tick().await;
            let told = caller.create(turn % 2, asked.user, &asked.items, Some(&key)).await;
            if told != Told::Unknown || Instant::now() > deadline {
                break told;
            }
        };
        if told == Told::Unknown {
            wrong.push(format!("{key} is not answered after the restart"));
        }
        ledger.borrow_mut().told(&key, told);
    }
    let open: Vec<_> = {
        let ledger = ledger.borrow();
        let restocks = ledger.restocks.iter().filter(|(_, (_, _, confirmed))| !confirmed);
        restocks.map(|(key, (sku, count, _))| (key.clone(), *sku, *count)).collect()
    };
    for (turn, (key, sku, count)) in open.into_iter().enumerate() {
        let mut tries = interval(LOOK_EVERY);
        tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outcome = loop {
            tries.tick().await;
            let outcome = caller.restock(turn % 2, sku, count, &key).await;
            if outcome != Outcome::Unknown || Instant::now() > deadline {
                break outcome;
            }
        };
        if outcome == Outcome::Done {
            ledger.borrow_mut().restocks.insert(key, (sku, count, true));
        } else {
            wrong.push(format!("the restock {key} is {outcome:?} after the restart"));
        }
    }
    wrong
}

/// The problems and unfinished work that `loms verify` still finds when the time is over.
async fn unrepaired(backend: &Backend, deadline: Instant) -> Vec<String> {
    let settings = backend.settings(&[
        ("SWEEP_INTERVAL", "100ms"),
        ("RESERVATION_GRACE", "3s"),
        ("REQUEST_TIMEOUT", "2500ms"),
    ]);
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let late = Instant::now() > deadline;
        // A look of the checker reads everything, so it waits until the sweepers have nothing left to
        // do.
        if !late && backend.left_behind().await > 0 {
            continue;
        }
        match verify(&settings).await {
            Ok(report)
                if report.holds() && report.findings.iter().all(|finding| finding.open == 0) =>
            {
                return if late { vec!["all holds, but too late".to_owned()] } else { Vec::new() };
            }
            Ok(report) if late => return vec![report.to_string()],
            Err(error) if late => return vec![format!("verify: {error}")],
            Ok(_) | Err(_) => {}
        }
    }
}

/// User, state and key.
type OrderRow = (i64, String, Option<String>);

/// The contents of the databases.
struct Tables {
    orders: HashMap<i64, OrderRow>,
    /// SKU and pieces by key.
    restocks: HashMap<String, (i64, i64)>,
}

impl Tables {
    async fn read(backend: &Backend) -> Self {
        let mut orders: HashMap<i64, OrderRow> = HashMap::new();
        for pool in &backend.pools {
            let query = sqlx::query_as("SELECT id, user_id, state, idempotency_key FROM orders");
            let rows: Vec<(i64, i64, String, Option<String>)> =
                query.fetch_all(pool).await.unwrap();
            orders.extend(rows.into_iter().map(|(id, user, state, key)| (id, (user, state, key))));
        }
        let query = sqlx::query_as("SELECT idempotency_key, sku, count FROM stock_history");
        let rows: Vec<(String, i64, i64)> = query.fetch_all(&backend.pools[0]).await.unwrap();
        let restocks = rows.into_iter().map(|(key, sku, count)| (key, (sku, count))).collect();
        Self { orders, restocks }
    }

    /// The answers that clients received and that are not true.
    fn deny(&self, ledger: &Ledger) -> Vec<String> {
        let mut wrong = Vec::new();
        for (key, asked) in &ledger.creates {
            let Told::Created(order) = asked.told else { continue };
            let row = self.orders.get(&order);
            let right = row.is_some_and(|(user, state, known)| {
                *user == i64::from(asked.user) && state != "FAILED" && known.as_ref() == Some(key)
            });
            if !right {
                wrong.push(format!("{key} made order {order}, which is {row:?}"));
            }
        }
        let told = [
            ("paid", &ledger.paid, "PAYED"),
            ("cancelled", &ledger.cancelled, "CANCELLED"),
            ("not payable", &ledger.not_payable, "CANCELLED"),
            ("not cancellable", &ledger.not_cancellable, "PAYED"),
        ];
        for (what, ids, expected) in told {
            for id in ids {
                let row = self.orders.get(id);
                if row.is_none_or(|(_, state, _)| state != expected) {
                    wrong.push(format!("order {id} was told to be {what}, and is {row:?}"));
                }
            }
        }
        let gone = ledger.unkeyed.iter().filter(|id| !self.orders.contains_key(id));
        wrong.extend(gone.map(|id| format!("order {id} is gone")));
        for (key, (sku, count, _)) in &ledger.restocks {
            let done = self.restocks.get(key);
            if done != Some(&(i64::from(*sku), *count)) {
                wrong.push(format!("the restock {key} is {done:?}"));
            }
        }
        wrong
    }
}
