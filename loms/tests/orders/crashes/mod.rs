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

use std::sync::Mutex;
use std::thread;

use dev::testing::crashes::{CrashRun, CrashTable};

use plan::Operation;

/// How many lanes run at once, each on its own thread.
const LANES: usize = 3;

#[test]
fn a_kill_between_any_two_steps_loses_nothing_and_leaves_nothing_behind() {
    let run = CrashRun::from_env(fastrand::u64(..1_000_000));
    let CrashRun { rounds, seed, .. } = run;
    println!("seed {seed}");
    let wanted = |operation: &Operation| run.wants(operation.name());
    let waiting = Mutex::new(Operation::ALL.into_iter().filter(wanted));
    let next = || waiting.lock().unwrap().next();
    let lanes: Mutex<Vec<CrashTable>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some(operation) = next() {
                    let lane = lane::run(operation, rounds, seed);
                    let lane = actix::System::new().block_on(lane);
                    lanes.lock().unwrap().push(lane);
                }
            });
        }
    });
    let table = CrashTable::of_all(lanes.into_inner().unwrap(), &plan::all());
    println!("{table}\nseed {seed}");
    assert!(table.violations().is_empty(), "{:#?}", table.violations());
}
