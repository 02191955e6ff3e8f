//! The faults of docs/operations.md: how long after each of them everything works again.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

use super::{Condition, eventually};

/// The limit within which everything must work again, on a machine that is busy with other tests.
/// `make faults` measures the time on an idle machine.
const NORMAL_WITHIN: Duration = Duration::from_secs(30);

/// The environment variable that names the report file. Each fault adds a line `name<tab>seconds`
/// to it.
const REPORT: &str = "SHOP_FAULT_REPORT";

/// A fault that has just passed. `name` is its row in the table of docs/operations.md.
#[derive(Debug)]
pub struct Fault {
    name: &'static str,
    passed: Instant,
}

impl Fault {
    /// Starts the clock. Call it when the fault has passed or, for a lasting fault, when it has
    /// begun.
    pub fn passed(name: &'static str) -> Self {
        Self { name, passed: Instant::now() }
    }

    /// Waits until `condition` holds, which is when users no longer notice the fault. Reports how
    /// long that took.
    pub async fn normal_when<C: Condition>(
        self,
        what: &str,
        condition: impl AsyncFnMut() -> C,
    ) -> C::Value {
        let value =
            eventually(NORMAL_WITHIN, &format!("{what} after: {}", self.name), condition).await;
        let seconds = self.passed.elapsed().as_secs_f64();
        println!("normal {seconds:.1} s after: {}", self.name);
        if let Some(report) = std::env::var_os(REPORT) {
            let file = OpenOptions::new().create(true).append(true).open(report);
            let written = file.and_then(|mut file| writeln!(file, "{}\t{seconds:.1}", self.name));
            written.expect("the report of the faults can be written");
        }
        value
    }
}
