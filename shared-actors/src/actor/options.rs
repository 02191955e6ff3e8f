//! The limits of an actor.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::fits;

/// The limits of one supervised actor.
#[derive(Clone, Debug)]
pub struct ActorOptions {
    /// The value of the label `actor` in metrics, in lower snake case. Actors of one type share it.
    pub name: &'static str,
    /// How many commands may be queued or running at once.
    pub capacity: usize,
    /// How long an answer may take if the asking task has no earlier deadline.
    pub deadline: Duration,
    /// The retry delay that [`super::AskError::Overloaded`] reports to the caller.
    pub retry_after: Duration,
    /// How long to wait before a restart.
    pub backoff: Backoff,
}

impl ActorOptions {
    /// Capacity 1,024, deadline 10 s, retry after 1 s. Restarts wait 100 ms, doubling up to 10 s.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            capacity: 1024,
            deadline: Duration::from_secs(10),
            retry_after: Duration::from_secs(1),
            backoff: Backoff::default(),
        }
    }

    /// Sets how many commands may be queued or running at once.
    #[must_use]
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// Sets how long an answer may take before the caller gets `DeadlineExceeded`.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the backoff before restarts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }
}

/// Exponential backoff: the first wait doubles after each failure, up to the longest wait.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait. Work that has run for longer than this counts as healthy, so its next
    /// failure waits `first` again.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), max: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// The wait after `failures` failures in a row (1 for the first).
    ///
    /// ```
    /// use std::time::Duration;
    /// let backoff = shared_actors::actor::Backoff {
    ///     first: Duration::from_millis(100),
    ///     max: Duration::from_secs(1),
    /// };
    /// let waits: Vec<u128> = (1..=5).map(|failures| backoff.wait(failures).as_millis()).collect();
    /// assert_eq!(waits, [100, 200, 400, 800, 1000]);
    /// ```
    pub fn wait(&self, failures: u32) -> Duration {
        self.first.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1))).min(self.max)
    }

    /// Like [`Backoff::wait`], but spread at random between 50% and 150% of it, so that peers that
    /// failed together do not retry together.
    ///
    /// ```
    /// use std::time::Duration;
    /// let backoff = shared_actors::actor::Backoff {
    ///     first: Duration::from_secs(1),
    ///     max: Duration::from_secs(1),
    /// };
    /// let wait = backoff.jittered(1);
    /// assert!(Duration::from_millis(500) <= wait && wait <= Duration::from_millis(1500));
    /// ```
    pub fn jittered(&self, failures: u32) -> Duration {
        // Each `RandomState` has its own keys, so even the hash of nothing is a random number.
        let thousandths = fits::<u64, u32>(RandomState::new().hash_one(()) % 1001);
        self.wait(failures).saturating_mul(500 + thousandths) / 1000
    }
}
