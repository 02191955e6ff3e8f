//! Leaves a service alone that is down, or that asks for it.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{IntGauge, IntGaugeVec};
use shared_actors::actor::Backoff;
use shared_actors::metrics;
use tokio::time::Instant;

/// After this many failed look-ups in a row, the service counts as down.
const FAILURES: u32 = 3;
/// How long it is left alone then. Each failed attempt afterwards makes it longer.
const PAUSE: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(30) };
/// The longest pause that the service may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// While one attempt shows whether the service is back, the others wait at most this long for it.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(10);

static PAUSED: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    let help =
        "1 while the product service is not called, because it is down or asked for a pause.";
    metrics::gauges("product_service_paused", help, &[])
});

/// A circuit breaker. It is open while the service is left alone. Afterwards, one call finds out
/// whether the service is back.
pub struct Breaker {
    state: Mutex<State>,
    open: IntGauge,
}

#[derive(Default)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// Pauses in a row.
    pauses: u32,
    paused_until: Option<Instant>,
    /// Whether a call has passed since the end of the pause.
    is_trying: bool,
}

impl Breaker {
    /// A breaker that lets every call pass.
    pub fn new() -> Self {
        Self { state: Mutex::default(), open: PAUSED.with_label_values::<&str>(&[]) }
    }

    /// Whether a call may be made now.
    ///
    /// # Errors
    /// The time that is left of the pause.
    pub fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state();
        match state.paused_until {
            Some(until) if now < until => Err(until - now),
            Some(_) => {
                state.is_trying = true;
                state.paused_until = Some(now + ATTEMPT_WITHIN);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The service works.
    pub fn succeeded(&self) {
        *self.state() = State::default();
        self.open.set(0);
    }

    /// A look-up has failed with all its retries.
    pub fn failed(&self, now: Instant) {
        let mut state = self.state();
        if state.paused_until.is_some() && !state.is_trying {
            // It began before the pause.
            return;
        }
        state.failures += 1;
        if state.is_trying || state.failures >= FAILURES {
            state.pauses += 1;
            let pause = PAUSE.jittered(state.pauses);
            self.pause(&mut state, now + pause);
        }
    }

    /// The service asks not to be called for `pause`.
    pub fn asked_to_wait(&self, now: Instant, pause: Duration) {
        self.pause(&mut self.state(), now + pause.min(LONGEST_PAUSE));
    }

    fn pause(&self, state: &mut State, until: Instant) {
        let known = state.paused_until.filter(|_| !state.is_trying);
        state.paused_until = Some(known.map_or(until, |known| known.max(until)));
        state.is_trying = false;
        self.open.set(1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_keeps_failing_is_left_alone_and_tried_once() {
        let (breaker, mut now) = (Breaker::new(), Instant::now());
        for _ in 0..FAILURES {
            assert_eq!(breaker.admit(now), Ok(()));
            breaker.failed(now);
        }
        let left = breaker.admit(now).unwrap_err();
        assert!(left <= PAUSE.first * 3 / 2, "{left:?}");
        breaker.failed(now);
        assert_eq!(breaker.admit(now), Err(left), "a late failure adds nothing");
        now += left;
        assert_eq!(breaker.admit(now), Ok(()));
        assert!(breaker.admit(now).is_err(), "one call tries");
        breaker.failed(now);
        assert!(breaker.admit(now).is_err());
        now += PAUSE.max * 2;
        assert_eq!(breaker.admit(now), Ok(()));
        breaker.succeeded();
        for _ in 0..10 {
            assert_eq!(breaker.admit(now), Ok(()));
        }
    }

    #[test]
    fn an_attempt_without_an_outcome_is_repeated() {
        let (breaker, mut now) = (Breaker::new(), Instant::now());
        breaker.asked_to_wait(now, Duration::from_secs(2));
        now += Duration::from_secs(2);
        assert_eq!(breaker.admit(now), Ok(()));
        assert!(breaker.admit(now).is_err());
        now += ATTEMPT_WITHIN;
        assert_eq!(breaker.admit(now), Ok(()));
    }

    #[test]
    fn a_service_gets_the_pause_that_it_asks_for_up_to_a_minute() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        breaker.asked_to_wait(now, Duration::from_secs(7));
        breaker.asked_to_wait(now, Duration::from_secs(3));
        assert_eq!(breaker.admit(now), Err(Duration::from_secs(7)));
        breaker.asked_to_wait(now, Duration::from_hours(24));
        assert_eq!(breaker.admit(now), Err(LONGEST_PAUSE));
    }
}
