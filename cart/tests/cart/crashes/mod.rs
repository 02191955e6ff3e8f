//! Kills cart and loms at every point between two steps, under load. No acknowledged change may be
//! lost, and no piece ordered twice.
//!
//! Two instances of cart and the real loms serve some users. Each user adds, removes, clears and
//! checks out, and repeats what was not answered, at either instance. A round kills processes at a
//! point of the [`plan`], restarts them, repeats the open requests, waits until no checkout is
//! open, and compares what clients were told with what is stored ([`checks`]).
//!
//! `CRASH_ROUNDS`, `CRASH_SEED` and `CRASH_OPERATION` select a run, as for loms.

mod audit;
mod checks;
pub mod crew;
mod lane;
pub mod ledger;
pub mod load;
mod plan;

use std::sync::Mutex;
use std::thread;

use dev::testing::crashes::{CrashRun, CrashTable};

use plan::Operation;

/// How many lanes run at once, each on its own thread.
const LANES: usize = 2;

#[test]
fn a_kill_between_any_two_steps_loses_nothing_and_orders_nothing_twice() {
    let run = CrashRun::from_env(fastrand::u64(..1_000_000));
    let CrashRun { rounds, seed, .. } = run;
    println!("seed {seed}");
    let wanted = |operation: &Operation| run.wants(operation.name());
    let waiting = Mutex::new(Operation::ALL.into_iter().filter(wanted));
    let next = || waiting.lock().unwrap().next();
    let tables: Mutex<Vec<CrashTable>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(operation) = next() {
                    let lane = lane::run(operation, rounds, seed);
                    let table = actix_web::rt::System::new().block_on(lane);
                    tables.lock().unwrap().push(table);
                }
            });
        }
    });
    let table = CrashTable::of_all(tables.into_inner().unwrap(), &plan::all());
    println!("{table}\nseed {seed}");
    assert!(table.violations().is_empty(), "{:#?}", table.violations());
}
