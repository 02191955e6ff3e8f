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
    static TOO_SHORT: bool;
}

/// If a client allows less time than this, a timeout is not the service's fault. The calls that
/// time out count as cancelled.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    pub(crate) time: Duration,
    /// The client chose the time, and it is too short for a timeout to be our fault.
    pub(crate) is_too_short: bool,
}

impl Allowance {
    /// The time that the client `wants`, if it says so, but no more than `limit`.
    pub(crate) fn new(wants: Option<Duration>, limit: Duration) -> Self {
        let chosen = wants.filter(|wanted| *wanted < limit);
        Self { time: chosen.unwrap_or(limit), is_too_short: chosen.is_some_and(|chosen| chosen < SHORTEST) }
    }

    /// Runs a handler under `deadline`, which follows from this allowance.
    pub(crate) fn scope<F: Future>(self, deadline: Instant, handler: F) -> impl Future<Output = F::Output> {
        scope(deadline, TOO_SHORT.scope(self.is_too_short, handler))
    }
}

/// Whether the current request's client allowed too little time.
pub(crate) fn is_too_short() -> bool {
    TOO_SHORT.try_with(|too_short| *too_short).unwrap_or_default()
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

/// The header in which a client says how long it waits. gRPC uses it, and so do gateways from HTTP
/// to gRPC.
pub(crate) const TIMEOUT_HEADER: &str = "grpc-timeout";

/// Parses the value of [`TIMEOUT_HEADER`]: at most eight digits and a unit, as "gRPC over HTTP2"
/// specifies.
pub(crate) fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_at_most_eight_digits_and_a_unit() {
        assert_eq!(parse_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse_timeout("99999999H"), Some(Duration::from_hours(99_999_999)));
        for wrong in ["", "m", "1", "1x", "-1S", "+1S", "123456789S", "1é"] {
            assert_eq!(parse_timeout(wrong), None, "{wrong}");
        }
    }
}
