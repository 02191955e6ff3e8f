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

use dev::testing::crashes::{CrashRun, CrashTable};

use plan::Operation;

/// How many lanes run at once, each on its own thread.
const LANES: usize = 2;

#[test]
fn a_kill_between_any_two_steps_loses_nothing_and_orders_nothing_twice() {
    let run = CrashRun::from_env(fastrand::u64(..1_000_000));
    let CrashRun { rounds, seed, .. } = run;
    println!("seed {seed}");
    let operations = Operation::ALL.map(|operation| (operation.name(), operation));
    let tables = run.in_lanes(LANES, operations, |operation| {
        actix_web::rt::System::new().block_on(lane::run(operation, rounds, seed))
    });
    let table = CrashTable::of_all(tables, &plan::all());
    println!("{table}\nseed {seed}");
    assert!(table.violations().is_empty(), "{:#?}", table.violations());
}
