//! The moment by which the work of the current task must be answered.
//!
//! A front-end opens a scope for each request. Every [`crate::actor::Handle::ask`] inside it passes
//! the deadline on. The actor that runs the command opens its own scope for everything that
//! it asks in turn.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// The deadline of the current task, if it has one.
pub fn current() -> Option<Instant> {
    DEADLINE.try_with(|deadline| *deadline).ok()
}

/// The time left until the deadline of the current task, or zero if it has passed. `None` if the
/// task has no deadline.
pub fn remaining() -> Option<Duration> {
    current().map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

/// The earlier of the current deadline and `limit` from now.
pub fn within(limit: Duration) -> Instant {
    let own = Instant::now() + limit;
    current().map_or(own, |outer| outer.min(own))
}

/// Runs `future` with `deadline` as the deadline of everything that it asks.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use shared_actors::deadline;
/// let at = deadline::within(std::time::Duration::from_secs(1));
/// assert_eq!(deadline::scope(at, async { deadline::current() }).await, Some(at));
/// assert_eq!(deadline::current(), None);
/// # });
/// ```
pub fn scope<F: Future>(deadline: Instant, future: F) -> impl Future<Output = F::Output> {
    DEADLINE.scope(deadline, future)
}
