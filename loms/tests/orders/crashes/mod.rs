//! Kills processes at every point between two steps, under load. Nothing may be lost, oversold or
//! left over.
//!
//! Each operation has one lane with its own two instances. A round of a lane kills one or both of
//! them at a point of the [`plan`] while clients work. It then restarts them, repeats the calls
//! that were not answered, and checks everything.
//!
//! `CRASH_ROUNDS` sets how often each point is visited (default 1). `CRASH_SEED` repeats the
//! choices of a run. `CRASH_OPERATION` runs only one lane.

mod checks;
mod client;
mod crew;
mod lane;
mod ledger;
mod load;
mod plan;
mod told;

use dev::testing::crashes::{CrashRun, CrashTable};

use plan::Operation;

/// How many lanes run at once, each on its own thread.
const LANES: usize = 3;

#[test]
fn a_kill_between_any_two_steps_loses_nothing_and_leaves_nothing_behind() {
    let run = CrashRun::from_env(fastrand::u64(..1_000_000));
    let CrashRun { rounds, seed, .. } = run;
    println!("seed {seed}");
    let operations = Operation::ALL.map(|operation| (operation.name(), operation));
    let tables = run.in_lanes(LANES, operations, |operation| {
        actix::System::new().block_on(lane::run(operation, rounds, seed))
    });
    let table = CrashTable::of_all(tables, &plan::all());
    println!("{table}\nseed {seed}");
    assert!(table.violations().is_empty(), "{:#?}", table.violations());
}
