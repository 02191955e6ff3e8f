//! The ordered end of a service: one step after the other, the whole bounded in time.

use std::time::Duration;

use futures::future::LocalBoxFuture;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

/// The steps by which a service stops, in order, and the time that all of them have together.
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
    /// A shutdown that takes at most `budget` in all.
    pub fn new(budget: Duration) -> Self {
        Self { budget, steps: Vec::new() }
    }

    /// Adds a step; it starts when the one before it has ended.
    #[must_use]
    pub fn step(mut self, name: &'static str, work: impl Future<Output = ()> + 'static) -> Self {
        self.steps.push((name, Box::pin(work)));
        self
    }

    /// Runs the steps. A step that is not done when the budget is spent is abandoned, and so the later ones get
    /// no more than one poll. Answers whether every step ended in time.
    pub async fn run(self) -> bool {
        let deadline = Instant::now() + self.budget;
        let mut in_time = true;
        for (name, work) in self.steps {
            if timeout_at(deadline, work).await.is_ok() {
                info!(step = name, "stopped");
            } else {
                warn!(step = name, budget = ?self.budget, "not stopped in time, abandoned");
                in_time = false;
            }
        }
        in_time
    }
}
