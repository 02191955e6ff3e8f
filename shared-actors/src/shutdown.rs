//! The ordered shutdown of a service: one step after another, with a time limit for the whole.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::fits;

/// A step leaves each later step the budget divided by this. It and the steps before it always have
/// at least half of the budget.
const SHARES: u32 = 20;

/// The steps in which a service stops, in order, and the time budget of all steps together.
///
/// ```
/// # actix::System::new().block_on(async {
/// use std::time::Duration;
/// use shared_actors::shutdown::Shutdown;
/// let in_time = Shutdown::new(Duration::from_secs(20))
///     .step("front-ends", async { /* stop accepting, finish what was accepted */ })
///     .step("actors", async { /* drain the handles */ })
///     .run()
///     .await;
/// assert!(in_time);
/// # });
/// ```
pub struct Shutdown {
    budget: Duration,
    steps: Vec<(&'static str, LocalBoxFuture<'static, ()>)>,
}

impl Shutdown {
    /// A shutdown that takes at most `budget` in total.
    pub fn new(budget: Duration) -> Self {
        Self { budget, steps: Vec::new() }
    }

    /// Adds a step. It starts when the previous step has ended.
    #[must_use]
    pub fn step(mut self, name: &'static str, work: impl Future<Output = ()> + 'static) -> Self {
        self.steps.push((name, Box::pin(work)));
        self
    }

    /// Runs the steps. A step that takes too long is abandoned, which leaves each later step a
    /// twentieth of the budget. Returns whether every step ended in time.
    pub async fn run(self) -> bool {
        let deadline = Instant::now() + self.budget;
        let mut in_time = true;
        let (share, mut later) = (self.budget / SHARES, fits::<usize, u32>(self.steps.len()));
        for (name, work) in self.steps {
            later -= 1;
            let reserved = share * later.min(SHARES / 2);
            if timeout_at(deadline - reserved, work).await.is_ok() {
                info!(step = name, "stopped");
            } else {
                warn!(step = name, budget = ?self.budget, "not stopped in time, abandoned");
                in_time = false;
            }
        }
        in_time
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[actix_rt::test]
    async fn a_step_that_hangs_leaves_the_later_ones_their_share() {
        let done = Rc::new(Cell::new(false));
        let flag = Rc::clone(&done);
        let in_time = Shutdown::new(Duration::from_secs(2))
            .step("hangs", std::future::pending())
            .step("takes its time", async move {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                flag.set(true);
            })
            .run()
            .await;
        assert!(!in_time && done.get());
    }
}
