//! The rounds of one operation.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use dev::testing::Signal;
use dev::testing::crashes::CrashTable;
use fastrand::Rng;
use futures::join;
use tokio::time::{interval, sleep, timeout};

use super::crew::{Crew, LOMS};
use super::ledger::Ledger;
use super::load::Load;
use super::plan::{Fault, Operation, Step};
use super::{audit, checks};
use crate::support::Shop;

/// How long to wait for a process to reach its point. It may miss it because the other instance did
/// the work.
const REACHED_WITHIN: Duration = Duration::from_secs(10);

/// How often to check whether the process has died.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The test fails if the process has not reached its point after this many tries.
const TRIES: u32 = 12;

/// How long loms hangs: longer than a request to cart may take, or a minute in the long form.
const FROZEN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));

/// How often its connections are cut, and how far apart.
const CUTS: u32 = 30;
const CUT_EVERY: Duration = Duration::from_millis(70);

pub async fn run(operation: Operation, rounds: u64, seed: u64) -> CrashTable {
    let mut rng = Rng::with_seed(seed ^ ((operation as u64) << 48));
    let shop = Shop::open().await;
    let crew = Crew::start(&shop).await;
    audit::begin(&shop).await;
    let frozen = if rounds > 1 { FROZEN.1 } else { FROZEN.0 };
    let mut lane = Lane { operation, crew, ledger: RefCell::default(), frozen };
    let mut table = CrashTable::default();
    for _ in 0..rounds {
        let mut steps = operation.steps();
        rng.shuffle(&mut steps);
        for step in steps {
            let begun = Instant::now();
            let kills = lane.strike(&step, &mut rng).await;
            let struck = begun.elapsed();
            lane.crew.recover().await;
            let restarted = begun.elapsed();
            let wrong = checks::violations(&lane.crew, &lane.ledger).await;
            println!(
                "{:<8} {:<22} killed after {:.1} s, restarted after {:.1} s, checked after {:.1} s: {} violations",
                operation.name(),
                step.point,
                struck.as_secs_f64(),
                restarted.as_secs_f64(),
                begun.elapsed().as_secs_f64(),
                wrong.len(),
            );
            for wrong in &wrong {
                println!("{wrong}");
            }
            table.round(operation.name(), step.point, kills, wrong);
        }
    }
    let ledger = lane.ledger.into_inner();
    table.count("changes confirmed to clients", ledger.confirmed);
    table.count("checkouts answered", ledger.orders.values().map(Vec::len).sum());
    table
}

struct Lane<'a> {
    operation: Operation,
    crew: Crew<'a>,
    ledger: RefCell<Ledger>,
    frozen: Duration,
}

impl Lane<'_> {
    /// Makes something fail as the step says while clients work. Returns how many processes were
    /// killed, or how often connections were cut.
    async fn strike(&mut self, step: &Step, rng: &mut Rng) -> u32 {
        let victim = rng.usize(..2);
        match step.fault {
            Fault::Cart(at_most) => self.kill_at(victim, step, at_most, rng).await,
            Fault::Loms(at_most) => self.kill_at(LOMS, step, at_most, rng).await,
            Fault::CartAfterCrash => {
                let other = 1 - victim;
                self.crew.kill(victim);
                let before = Step { point: "checkout::begun", fault: Fault::Cart(8) };
                let kills = self.kill_at(other, &before, 8, rng).await;
                kills + 1 + self.kill_at(victim, step, 1, rng).await
            }
            Fault::CartWithOldKeys => {
                self.under_load(Duration::from_millis(500), rng).await;
                // A request that is repeated after its key was deleted would be executed twice.
                let unanswered = checks::ask_again(&self.crew, &self.ledger).await;
                assert!(unanswered.is_empty(), "{unanswered:?}");
                self.crew.kill(1 - victim);
                let old = "update idempotency_keys set created_at = now() - interval '25 h'";
                self.crew.shop.execute(old).await;
                1 + self.kill_at(victim, step, 1, rng).await
            }
            Fault::LomsFrozen => {
                self.crew.signal(LOMS, Signal::SIGSTOP);
                self.under_load(self.frozen, rng).await;
                self.crew.signal(LOMS, Signal::SIGCONT);
                1
            }
            Fault::LomsCut => {
                let load = Load::new(self.crew.clients(), &self.ledger);
                let cut = async {
                    let mut cuts = interval(CUT_EVERY);
                    for _ in 0..CUTS {
                        cuts.tick().await;
                        self.crew.proxy.cut();
                    }
                    load.stop();
                };
                join!(load.run(rng.u64(..)), cut);
                CUTS
            }
            Fault::Everything => {
                let load = Load::new(self.crew.clients(), &self.ledger);
                let time = Duration::from_millis(rng.u64(100..1500));
                let kill = async {
                    sleep(time).await;
                    for service in [0, 1, LOMS] {
                        self.crew.kill(service);
                    }
                    load.stop();
                };
                join!(load.run(rng.u64(..)), kill);
                3
            }
        }
    }

    /// Lets clients work until the service has died at the point. Returns the number of kills.
    async fn kill_at(&mut self, service: usize, step: &Step, at_most: u32, rng: &mut Rng) -> u32 {
        for _ in 0..TRIES {
            self.crew.arm(service, step.point, rng.u32(1..=at_most)).await;
            let load = Load::new(self.crew.clients(), &self.ledger);
            let dies = async {
                let mut looks = interval(LOOK_EVERY);
                let dead = async {
                    while !self.crew.is_dead(service) {
                        looks.tick().await;
                    }
                };
                let dead = timeout(REACHED_WITHIN, dead).await.is_ok();
                load.stop();
                dead
            };
            if join!(load.run(rng.u64(..)), dies).1 {
                return 1;
            }
        }
        panic!("{} never came to {}", self.operation.name(), step.point);
    }

    async fn under_load(&self, time: Duration, rng: &mut Rng) {
        let load = Load::new(self.crew.clients(), &self.ledger);
        let stop = async {
            sleep(time).await;
            load.stop();
        };
        join!(load.run(rng.u64(..)), stop);
    }
}
