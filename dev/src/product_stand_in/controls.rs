//! What a test sets on the stand-in and reads from it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many calls are remembered one by one; all are counted.
const REMEMBERED: usize = 100_000;

/// A call that reached `/get_product`.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it came.
    pub at: Instant,
    /// The SKU as it was written; empty when the body was malformed.
    pub sku: String,
    /// The status of its answer.
    pub status: u16,
}

/// Failure modes and the record of calls. Shared by all of the stand-in's workers.
#[derive(Debug, Default)]
pub struct Controls(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    delay: Duration,
    failures: VecDeque<u16>,
    calls: VecDeque<Call>,
    count: u64,
}

impl Controls {
    /// Each answer waits so long from now on.
    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// The next `calls` calls answer `status`, in addition to failures that were asked for before.
    pub fn fail_next(&self, calls: usize, status: u16) {
        self.state().failures.extend(std::iter::repeat_n(status, calls));
    }

    /// Forgets failures that were asked for and have not happened, and the delay.
    pub fn heal(&self) {
        let mut state = self.state();
        state.failures.clear();
        state.delay = Duration::ZERO;
    }

    /// How many calls came so far.
    pub fn count(&self) -> u64 {
        self.state().count
    }

    /// The calls so far, oldest first; of very many the latest.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.iter().cloned().collect()
    }

    /// The delay and the failure that apply to a call that just came.
    pub(super) fn next(&self) -> (Duration, Option<u16>) {
        let mut state = self.state();
        (state.delay, state.failures.pop_front())
    }

    pub(super) fn record(&self, call: Call) {
        let mut state = self.state();
        state.count += 1;
        if state.calls.len() == REMEMBERED {
            state.calls.pop_front();
        }
        state.calls.push_back(call);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
