//! Ends the process if one of its threads hangs. A handler that blocks or loops stops everything
//! else on its thread, and nothing within the thread can notice that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{io, thread};

use actix::Arbiter;
use prometheus::GaugeVec;

use crate::exit;
use crate::fits;
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
    /// When it was last alive.
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

    fn beat(&self) {
        self.at.store(self.now(), Ordering::Relaxed);
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
        self.0.beat();
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

impl Drop for Heartbeat {
    fn drop(&mut self) {
        let own = Arc::downgrade(&self.0);
        let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.last.ptr_eq(&own));
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
        if asleep.elapsed() >= 2 * BEAT {
            // The whole process was frozen, so no single thread hangs. All get the full time again.
            forgive();
        } else if let Some((name, lag)) = look().into_iter().find(|(_, lag)| *lag > timeout) {
            exit::end(&format!("thread `{name}` has hung for {} s", lag.as_secs()));
        }
    }
}

fn forgive() {
    for thread in THREADS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        if let Some(last) = thread.last.upgrade() {
            last.beat();
        }
    }
}

/// Measures and shows how late the most overdue thread of each name is.
fn look() -> Vec<(&'static str, Duration)> {
    static SHOWN: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    // A name whose threads have ended is shown as on time.
    let mut lags: Vec<(&'static str, Duration)> =
        shown.iter().map(|name| (*name, Duration::ZERO)).collect();
    for thread in THREADS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let age = thread.last.upgrade().map(|last| last.age()).unwrap_or_default();
        let lag = age.saturating_sub(thread.allowance);
        match lags.iter_mut().find(|(name, _)| *name == thread.name) {
            Some((_, longest)) => *longest = lag.max(*longest),
            None => lags.push((thread.name, lag)),
        }
    }
    for (name, lag) in &lags {
        LAG.with_label_values(&[*name]).set(lag.as_secs_f64());
    }
    *shown = lags.iter().map(|(name, _)| *name).collect();
    lags
}
