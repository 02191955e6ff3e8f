//! Kills notifiers at every point between two steps, under load. Each event must be sent over each
//! channel, in order.
//!
//! Three notifiers share a topic with two partitions. They post to a webhook, which fails 10 % of the
//! requests and rejects some orders, and send emails to a slow server. A round publishes events and makes notifiers fail as
//! the [`plan`] says, waits until everything is sent, and compares what the receivers got with the
//! history ([`checks`]).
//!
//! `CRASH_ROUNDS`, `CRASH_SEED` and `CRASH_OPERATION` select a run, as for loms. The long form
//! publishes 200,000 events.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helper fails the test by its panic"
)]

mod checks;
mod crew;
mod plan;
mod receivers;

use std::time::{Duration, Instant};

use dev::testing::Signal;
use dev::testing::crashes::{CrashRun, CrashTable};
use fastrand::Rng;
use tokio::time::sleep;

use crew::{Crew, NOTIFIERS};
use plan::{Fault, Operation, Step};

/// How many lanes run at once, each on its own thread. They mostly wait: for Kafka to notice that a
/// member is dead, and for claims to expire.
const LANES: usize = 4;
/// How long to wait until a notifier has reached its point.
const REACHED_WITHIN: Duration = Duration::from_secs(20);
/// How often to check whether it has died.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The test fails if no notifier has reached the point after this many tries.
const TRIES: u32 = 4;
/// Longer than Kafka waits for a heartbeat.
const FROZEN: Duration = Duration::from_secs(12);
/// How many events the long form publishes.
const MANY: u64 = 200_000;
/// How many orders the short form places per round.
const FEW_ORDERS: u64 = 40;
/// Each order has three events.
const EVENTS_PER_ORDER: u64 = 3;

#[test]
fn a_kill_between_any_two_steps_loses_no_notification_and_keeps_their_order() {
    let run = CrashRun::from_env(fastrand::u64(..1_000_000));
    let CrashRun { rounds, seed, .. } = run;
    println!("seed {seed}");
    let steps: usize = Operation::ALL.iter().map(|operation| operation.steps().len()).sum();
    let orders = if rounds > 1 {
        MANY.div_ceil(EVENTS_PER_ORDER * rounds * steps as u64)
    } else {
        FEW_ORDERS
    };
    let operations = Operation::ALL.map(|operation| (operation.name(), operation));
    let tables = run.in_lanes(LANES, operations, |operation| {
        actix::System::new().block_on(lane(operation, rounds, seed, orders))
    });
    let table = CrashTable::of_all(tables, &plan::all());
    println!("{table}\nseed {seed}");
    assert!(table.violations().is_empty(), "{:#?}", table.violations());
}

/// The rounds of one operation.
async fn lane(operation: Operation, rounds: u64, seed: u64, orders: u64) -> CrashTable {
    let mut rng = Rng::with_seed(seed ^ ((operation as u64) << 48));
    let mut crew = Crew::start(rng.fork()).await;
    let mut table = CrashTable::default();
    for _ in 0..rounds {
        let mut steps = operation.steps();
        rng.shuffle(&mut steps);
        for step in steps {
            let begun = Instant::now();
            let kills = strike(&mut crew, &step, &mut rng, orders).await;
            let struck = begun.elapsed();
            crew.recover().await;
            let wrong = checks::violations(&crew).await;
            println!(
                "{:<8} {:<24} killed after {:.1} s, checked after {:.1} s: {} violations",
                operation.name(),
                step.point,
                struck.as_secs_f64(),
                begun.elapsed().as_secs_f64(),
                wrong.len(),
            );
            table.round(operation.name(), step.point, kills, wrong);
        }
    }
    table.count("events published", crew.published());
    table.count("notifications received", crew.received());
    table.count("duplicates received", crew.repeated());
    crew.stop().await;
    table
}

/// Makes notifiers fail as the step says, while events are published. Returns the number of kills.
async fn strike(crew: &mut Crew, step: &Step, rng: &mut Rng, orders: u64) -> u32 {
    let victim = rng.usize(..NOTIFIERS);
    match step.fault {
        Fault::KilledAt(at_most) => {
            for _ in 0..TRIES {
                crew.arm(step.point, rng.u32(1..=at_most)).await;
                crew.publish(orders).await;
                let give_up = Instant::now() + REACHED_WITHIN;
                while Instant::now() < give_up {
                    let dead = crew.dead();
                    if dead > 0 {
                        return dead;
                    }
                    sleep(LOOK_EVERY).await;
                }
            }
            panic!("no notifier reached {} in {TRIES} tries", step.point);
        }
        Fault::AllKilled => {
            crew.publish(orders).await;
            sleep(Duration::from_millis(rng.u64(..400))).await;
            (0..NOTIFIERS).for_each(|notifier| crew.kill(notifier));
            count(NOTIFIERS)
        }
        Fault::Frozen => {
            crew.publish(orders / 2).await;
            crew.signal(victim, Signal::SIGSTOP);
            crew.publish(orders / 2).await;
            sleep(FROZEN).await;
            crew.signal(victim, Signal::SIGCONT);
            // After the freeze, it may resend deliveries that another notifier has sent, so this
            // counts as a kill.
            1
        }
        Fault::InTurn => {
            for notifier in 0..NOTIFIERS {
                crew.publish(orders / 3).await;
                crew.kill(notifier);
                crew.publish(1).await;
                crew.restart(notifier).await;
            }
            count(NOTIFIERS)
        }
        Fault::Rebalanced => {
            for notifier in 0..NOTIFIERS {
                crew.publish(orders / 3).await;
                crew.leave_and_join(notifier).await;
            }
            0
        }
    }
}

fn count(notifiers: usize) -> u32 {
    u32::try_from(notifiers).expect("a few")
}
