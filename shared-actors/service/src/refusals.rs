//! The pace of refusals. A refusal costs its client almost nothing, and the server a good part of
//! the cost of an answer. Clients that retry at once, despite the retry delay, would take the time
//! in which others are served. So refusals go out at once while they are few, and are held back a
//! little while they are many. A client has a limited number of streams, and retries only when one
//! of them is free.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_millis(100);
/// How many refusals per window go out at once.
const AT_ONCE: u32 = 100;
/// How long the others are held back: about the shortest retry delay that clients get.
const HELD_BACK: Duration = Duration::from_millis(500);
/// Refusals that are held back go out together, at this interval. Sending each on its own would
/// cost more than holding it back saves, in wakeups and in writes on both sides.
const TOGETHER: Duration = Duration::from_millis(50);
/// Divides a second without a remainder, so the nanoseconds within a second are enough to compute
/// with.
const TOGETHER_NANOS: u64 = TOGETHER.subsec_nanos() as u64;

/// A retry delay between 50% and 150% of `delay`, so that clients that were refused together do not
/// retry together.
pub(crate) fn spread(delay: Duration) -> Duration {
    delay.mul_f64(0.5 + fastrand::f64())
}

/// Counts the refusals of a server.
pub(crate) struct Refusals {
    start: Instant,
    window: Mutex<Window>,
}

struct Window {
    since: Instant,
    refused: u32,
}

impl Refusals {
    pub fn new(now: Instant) -> Self {
        Self { start: now, window: Mutex::new(Window { since: now, refused: 0 }) }
    }

    /// Holds a refusal back until it is due or until `latest`, whichever is earlier.
    pub async fn hold(&self, latest: Instant) {
        let now = Instant::now();
        let due = self.due(now).min(latest);
        if due > now {
            tokio::time::sleep_until(due).await;
        }
    }

    /// When a refusal that is made at `now` goes out.
    fn due(&self, now: Instant) -> Instant {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(window.since) >= WINDOW {
            *window = Window { since: now, refused: 0 };
        }
        window.refused = window.refused.saturating_add(1);
        if window.refused <= AT_ONCE {
            return now;
        }
        let since_start = (now + HELD_BACK).duration_since(self.start);
        let late = Duration::from_nanos(u64::from(since_start.subsec_nanos()) % TOGETHER_NANOS);
        now + HELD_BACK + TOGETHER - late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_that_were_refused_together_come_back_apart() {
        let second = Duration::from_secs(1);
        let delays: Vec<Duration> = (0..100).map(|_| spread(second)).collect();
        assert!(
            delays.iter().all(|delay| (second / 2..second * 3 / 2).contains(delay)),
            "{delays:?}"
        );
        assert!(delays.iter().max() > delays.iter().min(), "{delays:?}");
    }

    #[test]
    fn few_refusals_go_out_at_once_and_many_are_held_back_to_go_out_together() {
        let start = Instant::now();
        let refusals = Refusals::new(start);
        for _ in 0..AT_ONCE {
            assert_eq!(refusals.due(start), start);
        }
        let together = start + HELD_BACK + TOGETHER;
        for millis in [0, 1, 20, 49] {
            assert_eq!(refusals.due(start + Duration::from_millis(millis)), together);
        }
        assert_eq!(refusals.due(start + TOGETHER), together + TOGETHER);
        let later = start + 2 * WINDOW;
        assert_eq!(refusals.due(later), later);
    }
}
