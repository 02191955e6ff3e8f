//! Ends the process if one of its threads hangs. A handler that blocks or loops stops everything
//! else on its thread, and nothing within the thread can notice that.

use crate::fits;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{io, thread};

use actix::Arbiter;
use prometheus::GaugeVec;

use crate::exit;
use crate::metrics;

/// How long a thread may hang by default. No work takes nearly as long.
pub const TIMEOUT: Duration = Duration::from_mins(1);

/// How often an event loop shows that it is alive, and how often the watchdog checks.
const BEAT: Duration = Duration::from_secs(1);

static THREADS: Mutex<Vec<Thread>> = Mutex::new(Vec::new());

static LAG: LazyLock<GaugeVec> = LazyLock::new(|| {
    let help = "Lag of the most overdue thread with this name, in seconds.";
    metrics::float_gauges("thread_lag_seconds", help, &["thread"])
});

/// A watched thread.
struct Thread {
    /// What runs on it.
    name: &'static str,
    /// How long its work may take, if nothing hangs.
    allowance: Duration,
    /// When it was last alive. Dropped when the watch ends.
    last: Weak<LastBeat>,
}

struct LastBeat {
    origin: Instant,
    /// Milliseconds since `origin`.
    at: AtomicU64,
}

impl LastBeat {
    fn now(&self) -> u64 {
        fits(self.origin.elapsed().as_millis())
    }

    fn age(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.at.load(Ordering::Relaxed)))
    }
}

/// Shows the watchdog that a thread is alive. Dropping it ends the watch.
pub struct Heartbeat(Arc<LastBeat>);

impl Heartbeat {
    /// Watches a thread that runs `name`. Its work takes up to `allowance` from one
    /// [`beat`](Self::beat) to the next if nothing hangs.
    pub fn start(name: &'static str, allowance: Duration) -> Self {
        let last = Arc::new(LastBeat { origin: Instant::now(), at: AtomicU64::new(0) });
        let thread = Thread { name, allowance, last: Arc::downgrade(&last) };
        THREADS.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        LAG.with_label_values(&[name]);
        Self(last)
    }

    /// Says that the thread is alive.
    pub fn beat(&self) {
        self.0.at.store(self.0.now(), Ordering::Relaxed);
    }

    /// Watches the event loop that runs this future until the loop ends.
    pub async fn of_event_loop(name: &'static str) {
        let heartbeat = Self::start(name, BEAT);
        loop {
            heartbeat.beat();
            tokio::time::sleep(BEAT).await;
        }
    }
}

/// Starts the watchdog. From now on, a thread with a [`Heartbeat`] that hangs for longer than
/// `timeout` ends the process, and so does the thread of the running actix System.
///
/// # Errors
/// No thread can be started.
///
/// # Panics
/// Panics outside a running actix System.
pub fn start(timeout: Duration) -> io::Result<()> {
    Arbiter::current().spawn(Heartbeat::of_event_loop("main"));
    thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(timeout))?;
    Ok(())
}

fn watch(timeout: Duration) {
    loop {
        let asleep = Instant::now();
        thread::sleep(BEAT);
        // If the whole process was frozen, no single thread hangs.
        if asleep.elapsed() < 2 * BEAT
            && let Some((name, lag)) = look().into_iter().find(|(_, lag)| *lag > timeout)
        {
            exit::end(&format!("thread `{name}` has hung for {} s", lag.as_secs()));
        }
    }
}

/// Measures and shows how long the threads of each name have been overdue at most.
fn look() -> Vec<(&'static str, Duration)> {
    let mut lags: Vec<(&'static str, Duration)> = Vec::new();
    THREADS.lock().unwrap_or_else(PoisonError::into_inner).retain(|thread| {
        let age = thread.last.upgrade().map(|last| last.age());
        let lag = age.unwrap_or_default().saturating_sub(thread.allowance);
        match lags.iter_mut().find(|(name, _)| *name == thread.name) {
            Some((_, longest)) => *longest = lag.max(*longest),
            None => lags.push((thread.name, lag)),
        }
        age.is_some()
    });
    for (name, lag) in &lags {
        LAG.with_label_values(&[*name]).set(lag.as_secs_f64());
    }
    lags
}
