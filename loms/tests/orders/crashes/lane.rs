//! The rounds of one operation.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use dev::testing::{eventually, http_client};
use fastrand::Rng;

use super::client::Caller;
use super::crew::Crew;
use super::ledger::Ledger;
use super::load::{Load, SKUS};
use super::plan::{Operation, Scene, Step};
use super::table::Table;
use super::{checks, told};
use crate::shop::Backend;

/// A process that does not come to its point within this time will not: the test fails.
const REACHED_WITHIN: Duration = Duration::from_secs(40);

pub async fn run(operation: Operation, rounds: u64, seed: u64) -> Table {
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
    let mut table = Table::default();
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
            table.round(operation, step.point, kills, wrong);
        }
    }
    let (events, wrong) = told::violations(&backend).await;
    table.finish(operation, lane.ledger.borrow().confirmed(), events, wrong);
    table
}

struct Lane<'a> {
    operation: Operation,
    backend: &'a Backend,
    crew: Crew<'a>,
    ledger: RefCell<Ledger>,
}

impl Lane<'_> {
    /// Kills as the step says while clients work; answers how many were killed.
    async fn kill(&mut self, step: &Step, rng: &mut Rng) -> u32 {
        let victim = rng.usize(..2);
        let other = 1 - victim;
        let times = rng.u32(1..=step.at_most);
        match step.scene {
            Scene::Plain | Scene::Twins => self.crew.arm(victim, step, times).await,
            Scene::Alone => {
                self.crew.kill(other);
                self.crew.arm(victim, step, times).await;
            }
            Scene::AfterCrash(point) => {
                self.crew.kill(victim);
                let before = Step { point, at_most: 12, scene: Scene::Alone };
                self.crew.arm(other, &before, rng.u32(1..=before.at_most)).await;
                self.until_dead(other, &before, rng).await;
                self.crew.arm(victim, step, times).await;
            }
            Scene::WithOldKeys => {
                self.crew.kill(other);
                self.age_keys().await;
                self.crew.arm(victim, step, times).await;
            }
            Scene::BothAnywhere => {
                self.until_confirmed(times as usize, rng).await;
                self.crew.kill(victim);
                self.crew.kill(other);
                return 2;
            }
        }
        self.until_dead(victim, step, rng).await;
        match step.scene {
            Scene::Plain | Scene::Twins => 1,
            _ => 2,
        }
    }

    pub fn caller(&self) -> Caller {
        Caller { http: http_client(), base_urls: self.crew.base_urls() }
    }

    /// Lets clients work until the instance has killed itself.
    async fn until_dead(&mut self, victim: usize, step: &Step, rng: &mut Rng) {
        let twins = matches!(step.scene, Scene::Twins).then_some(victim);
        let load = Load::new(self.operation, self.caller(), &self.ledger, twins);
        let what = format!("{} comes to {}", self.operation.name(), step.point);
        let crew = &mut self.crew;
        let watch = async {
            eventually(REACHED_WITHIN, &what, async || crew.is_dead(victim)).await;
            load.stop();
        };
        futures::join!(load.run(rng.u64(..)), watch);
    }

    /// Lets clients work until so many more changes are confirmed.
    async fn until_confirmed(&mut self, more: usize, rng: &mut Rng) {
        let load = Load::new(self.operation, self.caller(), &self.ledger, None);
        let wanted = self.ledger.borrow().confirmed() + more;
        // The load is dropped in the middle of its calls.
        let confirmed = eventually(REACHED_WITHIN, "clients get their answers", async || {
            self.ledger.borrow().confirmed() >= wanted
        });
        tokio::select! {
            () = load.run(rng.u64(..)) => {}
            () = confirmed => {}
        }
    }

    /// Makes all orders that are done old enough for their keys to be forgotten.
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
