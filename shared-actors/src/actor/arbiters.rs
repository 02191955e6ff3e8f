//! The threads that actors run on.

use std::time::Duration;

use actix::{Arbiter, ArbiterHandle};

use super::watchdog;

/// The arbiters (threads with one event loop each) that a service spreads its actors over.
///
/// Cheap to clone. An actor stays on its arbiter for life, restarts included.
#[derive(Clone)]
pub struct Arbiters(Vec<ArbiterHandle>);

impl Arbiters {
    /// How long an actor thread may hang by default. No work on it takes nearly as long.
    pub const TIMEOUT: Duration = Duration::from_mins(1);

    /// Starts `threads` arbiters. With 0, actors share the thread of the running System. That saves
    /// hops between threads and is the fastest choice while one core is enough.
    ///
    /// # Panics
    /// Panics outside a running actix System.
    pub fn new(threads: usize) -> Self {
        if threads == 0 {
            return Self(vec![Arbiter::current()]);
        }
        Self((0..threads).map(|_| Arbiter::new().handle()).collect())
    }

    /// Ends the process if one of the threads hangs for longer than `timeout`. Nothing else could
    /// free a blocked thread.
    #[must_use]
    pub fn watched(self, timeout: Duration) -> Self {
        for arbiter in &self.0 {
            watchdog::watch(arbiter, timeout);
        }
        self
    }

    /// The arbiter for actor number `index`. The same index always gets the same arbiter.
    pub fn pick(&self, index: usize) -> &ArbiterHandle {
        &self.0[index % self.0.len()]
    }
}
