//! Whether a connection has requests under way: told by the server, asked by the connection.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::time::Instant;

/// Instants are kept as microseconds since this one.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The requests of one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    open: AtomicUsize,
    begun: AtomicU64,
    idle_since_micros: AtomicU64,
}

/// A request that is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let idle_since_micros = AtomicU64::new(micros());
        Arc::new(Self { open: AtomicUsize::new(0), begun: AtomicU64::new(0), idle_since_micros })
    }

    /// A request begins.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.begun.fetch_add(1, Ordering::AcqRel);
        Busy(Arc::clone(self))
    }

    pub(super) fn is_busy(&self) -> bool {
        self.open.load(Ordering::Acquire) > 0
    }

    /// How many requests have begun so far.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// When the last request ended, or bytes of its answer went out.
    pub(super) fn idle_since(&self) -> Instant {
        *START + Duration::from_micros(self.idle_since_micros.load(Ordering::Acquire))
    }

    pub(super) fn touch(&self) {
        self.idle_since_micros.store(micros(), Ordering::Release);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.touch();
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

fn micros() -> u64 {
    u64::try_from(START.elapsed().as_micros()).unwrap_or(u64::MAX)
}
