//! The limits of an actor.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The limits of one supervised actor.
#[derive(Clone, Debug)]
pub struct ActorOptions {
    /// The value of the label `actor` in metrics, in lower snake case; actors of one type share it.
    pub name: &'static str,
    /// How many commands may be queued or running at once.
    pub capacity: usize,
    /// How long an answer may take where the asking task has no earlier deadline.
    pub deadline: Duration,
    /// What [`super::AskError::Overloaded`] tells the caller to wait.
    pub retry_after: Duration,
    /// How long a restart waits.
    pub backoff: Backoff,
}

impl ActorOptions {
    /// Capacity 1,024, deadline 10 s, retry after 1 s, restarts after 100 ms doubling to 10 s.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            capacity: 1024,
            deadline: Duration::from_secs(10),
            retry_after: Duration::from_secs(1),
            backoff: Backoff::default(),
        }
    }

    /// Admits at most `capacity` commands that are queued or running.
    #[must_use]
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// Answers `DeadlineExceeded` after at most `deadline`.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Waits by `backoff` before restarts.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }
}

/// Exponential backoff: the first wait, doubled after each failure up to the longest.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// The longest wait. What has lived for longer than this counts as healthy: its next failure waits `first`.
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
    /// let backoff = shared_actors::actor::Backoff { first: Duration::from_millis(100), max: Duration::from_secs(1) };
    /// let waits: Vec<u128> = (1..=5).map(|failures| backoff.wait(failures).as_millis()).collect();
    /// assert_eq!(waits, [100, 200, 400, 800, 1000]);
    /// ```
    pub fn wait(&self, failures: u32) -> Duration {
        self.first.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1))).min(self.max)
    }

    /// As [`Backoff::wait`], but spread between a half and one and a half of it, so that those who failed together do
    /// not come back together.
    ///
    /// ```
    /// use std::time::Duration;
    /// let backoff = shared_actors::actor::Backoff { first: Duration::from_secs(1), max: Duration::from_secs(1) };
    /// let wait = backoff.jittered(1);
    /// assert!(Duration::from_millis(500) <= wait && wait <= Duration::from_millis(1500));
    /// ```
    pub fn jittered(&self, failures: u32) -> Duration {
        // Each `RandomState` has keys of its own, which makes the hash of nothing a random number.
        let thousandths = u32::try_from(RandomState::new().hash_one(()) % 1001).unwrap_or(0);
        self.wait(failures).saturating_mul(500 + thousandths) / 1000
    }
}
