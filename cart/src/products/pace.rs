//! How often the product service may be called.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A little longer than the second that the product service counts by, since calls do not all travel equally fast.
const WINDOW: Duration = Duration::from_millis(1050);

/// Gives out the moments at which calls may leave: in any second no more than allowed, and none later than need be.
/// A burst after a pause passes at once, which a token bucket cannot allow without passing twice as many in its first
/// second.
pub struct Pace {
    per_second: usize,
    taken: Mutex<VecDeque<Instant>>,
}

impl Pace {
    /// At most `per_second` calls in any second.
    pub fn new(per_second: usize) -> Self {
        Self { per_second: per_second.max(1), taken: Mutex::new(VecDeque::new()) }
    }

    /// Takes the next free moment; `None`, and nothing taken, when that is after `latest`.
    pub fn take(&self, latest: Option<Instant>) -> Option<Instant> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let moment = match taken.front() {
            Some(oldest) if taken.len() >= self.per_second => now.max(*oldest + WINDOW),
            _ => now,
        };
        if latest.is_some_and(|latest| moment > latest) {
            return None;
        }
        if taken.len() >= self.per_second {
            taken.pop_front();
        }
        taken.push_back(moment);
        Some(moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_moments_than_allowed() {
        let pace = Pace::new(10);
        let moments: Vec<Instant> = (0..35).map(|_| pace.take(None).unwrap()).collect();
        assert!(moments.windows(11).all(|eleven| eleven[10] - eleven[0] > Duration::from_secs(1)));
        assert!(moments[9] - moments[0] < Duration::from_millis(50), "a burst passes at once");
        assert!(moments[34] - moments[0] < Duration::from_millis(3300), "no moment is given away");
    }

    #[test]
    fn a_moment_after_the_deadline_is_not_taken() {
        let pace = Pace::new(1);
        let soon = Instant::now() + Duration::from_millis(100);
        assert!(pace.take(Some(soon)).is_some());
        assert!(pace.take(Some(soon)).is_none());
        assert!(pace.take(None).unwrap() <= soon + WINDOW);
    }
}
