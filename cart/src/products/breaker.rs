//! A circuit breaker: stops calls to a service that is down, or that asks for a pause.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntCounterVec;
use shared_actors::actor::Backoff;
use shared_actors::metrics;
use tokio::time::Instant;

/// After this many failed look-ups in a row, the service counts as down.
const FAILURES: u32 = 3;
/// How long the pause is then. Each failed trial makes the next one longer.
const PAUSE: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(30) };
/// The longest pause that the service may ask for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// How long the other calls wait for the outcome of a trial.
const TRIAL_WITHIN: Duration = Duration::from_secs(10);

static PAUSES: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Pauses in calls to the product service, because it kept failing (down) or sent Retry-After (asked).";
    metrics::counters_by("product_service_pauses_total", help, "reason", &["down", "asked"])
});

/// A circuit breaker. It is open during a pause. Afterwards, one trial call shows whether the service
/// works again.
pub struct Breaker(Mutex<State>);

#[derive(Default)]
struct State {
    /// Failures in a row.
    failures: u32,
    /// Pauses in a row.
    pauses: u32,
    paused_until: Option<Instant>,
    /// Incremented with each pause and each trial. Outcomes of calls from an earlier
    /// period are ignored.
    period: u64,
}

/// The permission to make one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    period: u64,
    /// Whether the call is a trial: it must not be repeated.
    pub is_trial: bool,
}

impl Breaker {
    /// A breaker that lets every call pass.
    pub fn new() -> Self {
        LazyLock::force(&PAUSES);
        Self(Mutex::default())
    }

    /// Permits a call, except during a pause.
    pub fn admit(&self, now: Instant) -> Option<Permit> {
        let mut state = self.state();
        match state.paused_until {
            Some(until) if now < until => None,
            Some(_) => {
                state.period += 1;
                state.paused_until = Some(now + TRIAL_WITHIN);
                Some(Permit { period: state.period, is_trial: true })
            }
            None => Some(Permit { period: state.period, is_trial: false }),
        }
    }

    /// A call was answered: the service works.
    pub fn succeeded(&self, permit: Permit) {
        let mut state = self.state();
        if permit.period == state.period {
            *state = State { period: state.period, ..State::default() };
        }
    }

    /// A look-up has failed with all its retries, or a trial has.
    pub fn failed(&self, now: Instant, permit: Permit) {
        let mut state = self.state();
        if permit.period != state.period {
            return;
        }
        state.failures += 1;
        if permit.is_trial || state.failures >= FAILURES {
            state.pauses += 1;
            let pause = PAUSE.jittered(state.pauses);
            state.pause(now + pause, "down");
        }
    }

    /// The service asks not to be called for `pause`.
    pub fn asked_to_wait(&self, now: Instant, permit: Permit, pause: Duration) {
        let mut state = self.state();
        let until = now + pause.min(LONGEST_PAUSE);
        // A pause that is already longer stays.
        let is_longer = state.paused_until.is_none_or(|known| known < until);
        if is_longer || permit.is_trial && permit.period == state.period {
            state.pause(until, "asked");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pause(&mut self, until: Instant, reason: &str) {
        self.period += 1;
        self.paused_until = Some(until);
        PAUSES.with_label_values(&[reason]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(now: Instant) -> Breaker {
        let breaker = Breaker::new();
        for _ in 0..FAILURES {
            breaker.failed(now, breaker.admit(now).unwrap());
        }
        breaker
    }

    #[test]
    fn a_service_that_keeps_failing_is_left_alone_longer_and_longer() {
        let mut now = Instant::now();
        let breaker = broken(now);
        let mut longest = Duration::ZERO;
        for _ in 0..10 {
            assert_eq!(breaker.admit(now), None);
            let begun = now;
            let trial = loop {
                now += Duration::from_millis(100);
                if let Some(permit) = breaker.admit(now) {
                    break permit;
                }
            };
            assert!(trial.is_trial);
            assert_eq!(breaker.admit(now), None, "one call is the trial");
            longest = longest.max(now - begun);
            breaker.failed(now, trial);
        }
        assert!(longest > PAUSE.max / 2 && longest <= PAUSE.max * 3 / 2, "{longest:?}");
        now += PAUSE.max * 2;
        breaker.succeeded(breaker.admit(now).unwrap());
        assert!((0..10).all(|_| breaker.admit(now).is_some_and(|permit| !permit.is_trial)));
    }

    #[test]
    fn outcomes_of_calls_from_before_a_pause_are_ignored() {
        let now = Instant::now();
        let breaker = Breaker::new();
        let (early, late) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
        breaker.asked_to_wait(now, early, Duration::from_secs(30));
        breaker.succeeded(late);
        assert_eq!(breaker.admit(now), None);
        let now = now + Duration::from_secs(30);
        let trial = breaker.admit(now).unwrap();
        breaker.failed(now, late);
        breaker.succeeded(trial);
        assert!(breaker.admit(now).is_some_and(|permit| !permit.is_trial));
    }

    #[test]
    fn a_trial_without_an_outcome_is_repeated() {
        let mut now = Instant::now();
        let breaker = broken(now);
        now += PAUSE.first * 2;
        assert!(breaker.admit(now).is_some());
        assert_eq!(breaker.admit(now), None);
        now += TRIAL_WITHIN;
        assert!(breaker.admit(now).is_some());
    }

    #[test]
    fn a_service_gets_the_pause_that_it_asks_for_up_to_a_minute() {
        let (breaker, now) = (Breaker::new(), Instant::now());
        let permit = breaker.admit(now).unwrap();
        breaker.asked_to_wait(now, permit, Duration::from_secs(7));
        breaker.asked_to_wait(now, permit, Duration::from_secs(3));
        let seconds = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(breaker.admit(now + Duration::from_millis(6_999)), None);
        let trial = breaker.admit(seconds(7)).unwrap();
        breaker.asked_to_wait(seconds(7), trial, Duration::from_hours(24));
        assert_eq!(breaker.admit(seconds(7) + LONGEST_PAUSE - Duration::from_millis(1)), None);
        assert!(breaker.admit(seconds(7) + LONGEST_PAUSE).is_some());
    }
}
