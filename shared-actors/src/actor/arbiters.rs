//! The threads that actors run on.

use actix::{Arbiter, ArbiterHandle};

use crate::watchdog::Heartbeat;

/// The arbiters (threads with one event loop each) that a service spreads its actors over.
///
/// Cheap to clone. An actor stays on its arbiter for life, restarts included.
#[derive(Clone)]
pub struct Arbiters(Vec<ArbiterHandle>);

impl Arbiters {
    /// Starts `threads` arbiters. With 0, actors share the thread of the running System. That saves
    /// hops between threads and is the fastest choice while one core is enough.
    ///
    /// # Panics
    /// Panics outside a running actix System.
    pub fn new(threads: usize) -> Self {
        if threads == 0 {
            return Self(vec![Arbiter::current()]);
        }
        let arbiters: Vec<_> = (0..threads).map(|_| Arbiter::new().handle()).collect();
        for arbiter in &arbiters {
            arbiter.spawn(Heartbeat::of_event_loop("actors"));
        }
        Self(arbiters)
    }

    /// The arbiter for actor number `index`. The same index always gets the same arbiter.
    pub fn pick(&self, index: usize) -> &ArbiterHandle {
        &self.0[index % self.0.len()]
    }
}
