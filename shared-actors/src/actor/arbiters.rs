//! The threads that actors live on.

use std::time::Duration;

use actix::{Arbiter, ArbiterHandle};

use super::watchdog;

/// The arbiters (threads with an event loop each) among which a service spreads its actors.
///
/// Cheap to clone. An actor stays on its arbiter for life, restarts included.
#[derive(Clone)]
pub struct Arbiters(Vec<ArbiterHandle>);

impl Arbiters {
    /// A thread of actors may hang for so long by default: far longer than any work on it takes.
    pub const TIMEOUT: Duration = Duration::from_mins(1);

    /// Starts `threads` arbiters; with 0, actors share the thread of the running System, which saves each hop
    /// between threads and is the fastest choice while one core is enough.
    ///
    /// # Panics
    /// Outside a running actix System.
    pub fn new(threads: usize) -> Self {
        if threads == 0 {
            return Self(vec![Arbiter::current()]);
        }
        Self((0..threads).map(|_| Arbiter::new().handle()).collect())
    }

    /// Ends the process when one of the threads hangs for longer than `timeout`: nothing else could mend that.
    #[must_use]
    pub fn watched(self, timeout: Duration) -> Self {
        for arbiter in &self.0 {
            watchdog::watch(arbiter, timeout);
        }
        self
    }

    /// The arbiter of the actor number `index`: the same for the same index.
    pub fn pick(&self, index: usize) -> &ArbiterHandle {
        &self.0[index % self.0.len()]
    }
}
