//! Processes that are killed at every point between two steps, under load: nothing is lost, oversold or left behind.
//!
//! One lane an operation, each with two instances of its own. A round of a lane kills one of them (or both) at one point of the
//! [`plan`] while clients work, starts it anew, asks again what was not answered, and checks everything. `CRASH_ROUNDS` says how
//! often each point has its turn (once by default), `CRASH_SEED` repeats the choices of a run.

mod checks;
mod client;
mod crew;
mod lane;
mod ledger;
mod load;
mod plan;
mod table;
mod told;

use futures::StreamExt;
use plan::Operation;
use table::Table;

/// How many lanes are under way at once.
const LANES: usize = 3;

#[actix::test]
async fn a_kill_between_any_two_steps_loses_nothing_and_leaves_nothing_behind() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let rounds = number("CRASH_ROUNDS").unwrap_or(1);
    let seed = number("CRASH_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("seed {seed}");
    let lanes = Operation::ALL.iter().map(|operation| lane::run(*operation, rounds, seed));
    let lanes: Vec<Table> = futures::stream::iter(lanes).buffered(LANES).collect().await;
    let table = Table::of_all(lanes);
    println!("{table}\nseed {seed}");
    assert!(table.violations().is_empty(), "{:#?}", table.violations());
}
