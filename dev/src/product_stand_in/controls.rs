//! The controls through which a test steers the stand-in and inspects its calls.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The stand-in records this many calls in detail and counts all of them.
const REMEMBERED: usize = 100_000;

/// A call that reached `/get_product`.
#[derive(Debug, Clone)]
pub struct Call {
    /// When the call arrived.
    pub at: Instant,
    /// The SKU as the client sent it. Empty if the body was malformed.
    pub sku: String,
    /// The HTTP status of the answer.
    pub status: u16,
}

/// A wrong answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A status and a message.
    Status(u16),
    /// 503 that asks for a pause of so many seconds.
    RetryAfter(u64),
    /// 200 with a body that is not JSON.
    Malformed,
    /// 200 with a product whose name has so many bytes.
    Large(usize),
    /// 200, and the connection ends in the middle of the body.
    Cut,
}

/// Failure modes and the record of calls, shared by all of the stand-in's workers.
#[derive(Debug, Default)]
pub struct Controls(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    delay: Duration,
    failures: VecDeque<Failure>,
    calls: VecDeque<Call>,
    count: u64,
}

impl Controls {
    /// Delays each answer by `delay` from now on.
    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// Answers the next `calls` calls with `status`. Failures that were requested earlier come
    /// first.
    pub fn fail_next(&self, calls: usize, status: u16) {
        self.fail_next_with(calls, Failure::Status(status));
    }

    /// Answers the next `calls` calls wrongly. Failures that were requested earlier come first.
    pub fn fail_next_with(&self, calls: usize, failure: Failure) {
        self.state().failures.extend(std::iter::repeat_n(failure, calls));
    }

    /// Cancels all requested failures that have not happened yet, and the delay.
    pub fn heal(&self) {
        let mut state = self.state();
        state.failures.clear();
        state.delay = Duration::ZERO;
    }

    /// How many calls have arrived so far.
    pub fn count(&self) -> u64 {
        self.state().count
    }

    /// The calls so far, oldest first. After 100,000 calls only the latest ones are kept.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.iter().cloned().collect()
    }

    /// The delay and the failure that apply to a call that has just arrived.
    pub(super) fn next(&self) -> (Duration, Option<Failure>) {
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
