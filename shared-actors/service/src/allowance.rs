//! How long a client lets a request take.

use std::future::Future;
use std::time::Duration;

use shared_actors::deadline;
use tokio::time::Instant;

tokio::task_local! {
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
        Self {
            time: chosen.unwrap_or(limit),
            is_too_short: chosen.is_some_and(|chosen| chosen < SHORTEST),
        }
    }

    /// Runs a handler with the deadline `at`, which follows from this allowance.
    pub(crate) fn scope<F: Future>(
        self,
        at: Instant,
        handler: F,
    ) -> impl Future<Output = F::Output> {
        deadline::scope(at, TOO_SHORT.scope(self.is_too_short, handler))
    }
}

/// Whether the current request's client allowed too little time.
pub(crate) fn is_too_short() -> bool {
    TOO_SHORT.try_with(|too_short| *too_short).unwrap_or_default()
}

/// The header in which a client says how long it waits. gRPC uses it, and so do gateways from HTTP
/// to gRPC.
pub(crate) const TIMEOUT_HEADER: &str = "grpc-timeout";

/// Parses the value of [`TIMEOUT_HEADER`]: at most eight digits and a unit, as "gRPC over HTTP2"
/// specifies.
pub(crate) fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit())
    {
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
    fn fuzz_timeout() {
        bolero::check!().for_each(|bytes: &[u8]| {
            let Ok(text) = str::from_utf8(bytes) else { return };
            assert!(
                parse_timeout(text).is_none_or(|time| time <= Duration::from_hours(99_999_999))
            );
        });
    }

    #[test]
    fn a_timeout_has_at_most_eight_digits_and_a_unit() {
        assert_eq!(parse_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse_timeout("99999999H"), Some(Duration::from_hours(99_999_999)));
        for wrong in ["", "m", "1", "1x", "-1S", "+1S", "123456789S", "1é"] {
            assert_eq!(parse_timeout(wrong), None, "{wrong}");
        }
    }
}
