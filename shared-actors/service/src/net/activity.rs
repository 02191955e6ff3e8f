//! Whether a connection has requests in progress. The server records them, and the connection
//! checks.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use shared_actors::fits;
use tokio::time::Instant;

/// Instants are stored as microseconds since this one.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The requests of one connection.
#[derive(Debug)]
pub(crate) struct Activity {
    client: Option<IpAddr>,
    open: AtomicUsize,
    begun: AtomicU64,
    idle_since_micros: AtomicU64,
    /// When the answers began that the client has not taken yet, by the number of their request.
    answers: Mutex<BTreeMap<u64, Instant>>,
}

/// A request that is in progress until this is dropped.
#[derive(Debug)]
pub(crate) struct Busy {
    activity: Arc<Activity>,
    request: u64,
    has_answer: bool,
}

impl Activity {
    pub(super) fn new(client: Option<IpAddr>) -> Arc<Self> {
        let idle_since_micros = AtomicU64::new(micros());
        Arc::new(Self {
            client,
            open: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            idle_since_micros,
            answers: Mutex::default(),
        })
    }

    /// The address of the client.
    pub(crate) fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// Records that a request begins.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.open.fetch_add(1, Ordering::AcqRel);
        let request = self.begun.fetch_add(1, Ordering::AcqRel);
        Busy { activity: Arc::clone(self), request, has_answer: false }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.open.load(Ordering::Acquire) > 0
    }

    /// How many requests have begun so far.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Acquire)
    }

    /// When the last request ended, or when bytes of its answer were last written.
    pub(super) fn idle_since(&self) -> Instant {
        *START + Duration::from_micros(self.idle_since_micros.load(Ordering::Acquire))
    }

    /// Since when the client has taken nothing of some answer.
    pub(super) fn answering_since(&self) -> Option<Instant> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.values().min().copied()
    }

    pub(super) fn touch(&self) {
        self.idle_since_micros.store(micros(), Ordering::Release);
    }
}

impl Busy {
    /// Records that there is an answer, which the client has to take from now on.
    pub(crate) fn answers(&mut self) {
        self.has_answer = true;
        let mut answers = self.activity.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(self.request, Instant::now());
    }

    /// Records that the client has room for another part of the answer.
    pub(crate) fn progresses(&mut self) {
        self.answers();
        self.activity.touch();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.has_answer {
            let mut answers = self.activity.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.remove(&self.request);
        }
        self.activity.touch();
        self.activity.open.fetch_sub(1, Ordering::AcqRel);
    }
}

fn micros() -> u64 {
    fits(START.elapsed().as_micros())
}
