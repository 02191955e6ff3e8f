//! The rounds of one operation.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use dev::testing::crashes::CrashTable;
use dev::testing::{eventually, http_client};
use fastrand::Rng;
use tokio::time::{interval, timeout};

use super::client::Caller;
use super::crew::Crew;
use super::ledger::Ledger;
use super::load::{Load, SKUS};
use super::plan::{Operation, Scene, Step};
use super::{checks, told};
use crate::shop::Backend;

/// How long to wait for a process to reach its point. It may miss it because the other instance did
/// the work.
const REACHED_WITHIN: Duration = Duration::from_secs(10);

/// How long clients may take to get some answers.
const CONFIRMED_WITHIN: Duration = Duration::from_mins(1);

/// How often to check whether the process has died.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The test fails if the process has not reached its point after this many tries.
const TRIES: u32 = 12;

pub async fn run(operation: Operation, rounds: u64, seed: u64) -> CrashTable {
    let mut rng = Rng::with_seed(seed ^ ((operation as u64) << 48));
    let backend = Backend::new().await;
    let mut lane = Lane {
        operation,
        crew: Crew::start(&backend, operation).await,
        backend: &backend,
        ledger: RefCell::default(),
    };
    for (sku, total) in SKUS.into_iter().zip([1_000_000, 1_000_000, 500]) {
        backend.add_stock(sku.into(), total).await;
    }
    let mut table = CrashTable::default();
    for _ in 0..rounds {
        let mut steps = operation.steps();
        rng.shuffle(&mut steps);
        for step in steps {
            let begun = Instant::now();
            let kills = lane.kill(&step, &mut rng).await;
            let killed = begun.elapsed();
            lane.crew.recover().await;
            let restarted = begun.elapsed();
            let wrong = checks::violations(&backend, &lane.caller(), &lane.ledger).await;
            println!(
                "{:<8} {:<22} killed after {:.1} s, restarted after {:.1} s, checked after {:.1} s: {} violations",
                operation.name(),
                step.point,
                killed.as_secs_f64(),
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
    let (events, wrong) = told::violations(&backend).await;
    table.count("changes confirmed to clients", lane.ledger.borrow().confirmed());
    table.count("events", events);
    table.violated(&format!("events of {}", operation.name()), wrong);
    table
}

struct Lane<'a> {
    operation: Operation,
    backend: &'a Backend,
    crew: Crew<'a>,
    ledger: RefCell<Ledger>,
}

impl Lane<'_> {
    /// Kills as the step says while clients work. Returns how many processes were killed.
    async fn kill(&mut self, step: &Step, rng: &mut Rng) -> u32 {
        let victim = rng.usize(..2);
        let mut kills = 0;
        for _ in 0..TRIES {
            kills += self.set_scene(victim, step, rng).await;
            if matches!(step.scene, Scene::BothAnywhere) || self.dies(victim, step, rng).await {
                return kills + 1;
            }
        }
        panic!("{} never came to {}", self.operation.name(), step.point);
    }

    /// Prepares the situation in which the victim reaches the point. Returns how many other kills
    /// that took.
    async fn set_scene(&mut self, victim: usize, step: &Step, rng: &mut Rng) -> u32 {
        let other = 1 - victim;
        let times = rng.u32(1..=step.at_most);
        match step.scene {
            Scene::Plain | Scene::Twins => {
                self.crew.arm(victim, step, times).await;
                return 0;
            }
            Scene::Alone => self.crew.kill(other),
            Scene::AfterCrash(point) => {
                self.crew.kill(victim);
                let before = Step { point, at_most: 12, scene: Scene::Alone };
                let (mut kills, mut tries) = (1, 0);
                while self.backend.left_behind().await == 0 {
                    assert!(tries < TRIES, "nothing is left behind by a kill at {point}");
                    tries += 1;
                    self.crew.arm(other, &before, rng.u32(1..=before.at_most)).await;
                    kills += u32::from(self.dies(other, &before, rng).await);
                }
                self.crew.arm(victim, step, times).await;
                return kills;
            }
            Scene::WithOldKeys => {
                self.crew.kill(other);
                self.crew.kill(victim);
                self.age_keys().await;
                self.crew.arm(victim, step, times).await;
                return 2;
            }
            Scene::BothAnywhere => {
                self.until_confirmed(times as usize, rng).await;
                self.crew.kill(victim);
                self.crew.kill(other);
                return 1;
            }
        }
        self.crew.arm(victim, step, times).await;
        1
    }

    pub fn caller(&self) -> Caller {
        Caller { http: http_client(), base_urls: self.crew.base_urls() }
    }

    /// Lets clients work until the instance has killed itself. Returns whether it did.
    async fn dies(&mut self, victim: usize, step: &Step, rng: &mut Rng) -> bool {
        let twins = matches!(step.scene, Scene::Twins).then_some(victim);
        let load = Load::new(self.operation, self.caller(), &self.ledger, twins);
        let crew = &mut self.crew;
        let watch = async {
            let mut looks = interval(LOOK_EVERY);
            let dead = timeout(REACHED_WITHIN, async {
                while !crew.is_dead(victim) {
                    looks.tick().await;
                }
            });
            let dead = dead.await.is_ok();
            load.stop();
            dead
        };
        futures::join!(load.run(rng.u64(..)), watch).1
    }

    /// Lets clients work until `more` further changes are confirmed.
    async fn until_confirmed(&mut self, more: usize, rng: &mut Rng) {
        let load = Load::new(self.operation, self.caller(), &self.ledger, None);
        let wanted = self.ledger.borrow().confirmed() + more;
        // The load is dropped in the middle of its calls.
        let confirmed = eventually(CONFIRMED_WITHIN, "clients get their answers", async || {
            self.ledger.borrow().confirmed() >= wanted
        });
        tokio::select! {
            () = load.run(rng.u64(..)) => {}
            () = confirmed => {}
        }
    }

    /// Makes all finished orders old enough for their keys to expire.
    async fn age_keys(&self) {
        let age = "UPDATE orders SET created_at = now() - interval '8 days'
            WHERE state <> 'AWAITING_PAYMENT' AND idempotency_key IS NOT NULL RETURNING idempotency_key";
        for pool in &self.backend.pools {
            let keys: Vec<String> = sqlx::query_scalar(age).fetch_all(pool).await.unwrap();
            for key in keys {
                self.ledger.borrow_mut().creates.remove(&key);
            }
        }
    }
}
