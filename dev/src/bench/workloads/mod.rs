//! What is measured. Each workload starts its own services and stops them.

mod carts;
mod checkout;
mod events;
mod expiring;
mod growth;
mod orders;
mod pay;
mod reads;
mod traces;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use futures::future::LocalBoxFuture;

use super::shop::Measured;
use crate::stack::folders::project_root;
use crate::testing::Servers;

/// The rows that one measurement of a workload yields, by name.
type Measurement<'a> = LocalBoxFuture<'a, Result<Vec<(&'static str, Sample)>>>;

/// One workload, with the limit that it is held against.
pub struct Workload {
    pub name: &'static str,
    /// What the load does.
    pub what: &'static str,
    /// What the limit is.
    pub limit: &'static str,
    /// What should be reached.
    pub goal: Goal,
    /// Whether the first round is enough, because it takes long.
    pub once: bool,
    /// Measures it once. One workload may have several rows, for example cold and warm.
    pub run: fn(&Servers, Duration) -> Measurement<'_>,
}

/// What a workload should reach.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// Nothing: it is only measured.
    Measured,
    /// The ratio to the limit is at least this.
    AtLeast(f64),
    /// The sample is a time in milliseconds: at most this.
    MsAtMost(f64),
    /// The sample is a time in milliseconds: at most so many times the limit, and so much more.
    TimeAtMost { times: f64, plus_ms: f64 },
}

/// One measurement of a row.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Operations per second, or milliseconds.
    pub ours: f64,
    /// The limit in the same unit.
    pub limit: Option<f64>,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub failed: f64,
    /// The CPU microseconds per operation of each process.
    pub cpu_us: Vec<(&'static str, f64)>,
    /// The resident memory of each service in bytes.
    pub resident: Vec<(&'static str, u64)>,
    /// What else was measured.
    pub note: Option<String>,
}

impl Sample {
    /// Operations per second.
    fn rate(measured: &Measured, limit: Option<f64>) -> Self {
        let load = measured.load;
        let per_second = measured.succeeded / load.seconds;
        Self { ours: per_second, limit, ..Self::costs(measured) }
    }

    /// The median time of one operation.
    fn time(measured: &Measured, limit: Option<f64>) -> Self {
        Self { ours: measured.load.p50_ms, limit, ..Self::costs(measured) }
    }

    fn costs(measured: &Measured) -> Self {
        let load = measured.load;
        let each = |(name, seconds): &(&'static str, f64)| {
            (*name, seconds * 1e6 / measured.succeeded.max(1.0))
        };
        // Answers that were under way when the load ended are not counted by the generator.
        let failed = (load.answers as f64 + load.failed as f64 - measured.succeeded).max(0.0);
        Self {
            p50_ms: load.p50_ms,
            p99_ms: load.p99_ms,
            failed,
            cpu_us: measured.cpu.iter().map(each).collect(),
            resident: measured.resident.clone(),
            ..Self::default()
        }
    }
}

/// All workloads, in the order of the table.
pub const WORKLOADS: &[Workload] = &[
    orders::MANY_SKUS,
    orders::WITHOUT_KAFKA,
    orders::ONE_SKU,
    orders::EIGHT,
    orders::ONE_AT_A_TIME,
    pay::PAY,
    expiring::EXPIRING,
    traces::TRACES,
    events::RELAY,
    events::NOTIFICATIONS,
    reads::ORDER_INFO,
    reads::STOCKS_INFO,
    reads::IDENTITY,
    carts::POST,
    carts::GET,
    carts::MILLION,
    checkout::CHECKOUT,
    growth::IN_FLIGHT,
    growth::SHARDS,
    growth::STORED,
];

/// A file for a load generator.
fn script(name: &str) -> Result<PathBuf> {
    Ok(project_root()?.join("dev/bench").join(name))
}
