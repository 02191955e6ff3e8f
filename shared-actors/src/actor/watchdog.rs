//! Ends the process if an actor thread hangs. A handler that blocks or loops stops all actors on
//! its thread, and supervision within the thread cannot notice that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Once, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix::ArbiterHandle;
use prometheus::{Gauge, GaugeVec};

use crate::{metrics, process};

/// How often a thread shows that it is alive, and how often the watchdog checks.
const BEAT: Duration = Duration::from_secs(1);

static THREADS: Mutex<Vec<Thread>> = Mutex::new(Vec::new());

static LAG: LazyLock<Gauge> = LazyLock::new(|| {
    let help = "How long ago the busiest thread of actors was last in its event loop.";
    let lag: GaugeVec = metrics::float_gauges("actor_thread_lag_seconds", help, &[]);
    lag.with_label_values::<&str>(&[])
});

/// A watched actor thread.
struct Thread {
    /// When it was last alive. Dropped with the thread's event loop.
    beat: Weak<Beat>,
    /// How long it may hang.
    timeout: Duration,
}

struct Beat {
    origin: Instant,
    /// Milliseconds since `origin`.
    last: AtomicU64,
}

impl Beat {
    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn age(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.last.load(Ordering::Relaxed)))
    }
}

/// Ends the process if nothing runs on `arbiter` for longer than `timeout`.
pub(super) fn watch(arbiter: &ArbiterHandle, timeout: Duration) {
    static WATCHING: Once = Once::new();
    let beat = Arc::new(Beat { origin: Instant::now(), last: AtomicU64::new(0) });
    let thread = Thread { beat: Arc::downgrade(&beat), timeout };
    THREADS.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    arbiter.spawn(async move {
        loop {
            beat.last.store(beat.now(), Ordering::Relaxed);
            tokio::time::sleep(BEAT).await;
        }
    });
    WATCHING.call_once(|| {
        LazyLock::force(&LAG);
        if let Err(error) =
            std::thread::Builder::new().name("watchdog".to_owned()).spawn(look_again_and_again)
        {
            process::end(&format!("no thread can be started that watches over the actors: {error}"));
        }
    });
}

fn look_again_and_again() {
    loop {
        let asleep = Instant::now();
        std::thread::sleep(BEAT);
        // If the whole process was frozen, no single thread hangs.
        if asleep.elapsed() < 2 * BEAT
            && let Some(hanging) = look()
        {
            process::end(&format!("a thread of actors has hung for {} s", hanging.as_secs()));
        }
    }
}

/// How long a thread has hung, if it has hung for longer than its timeout.
fn look() -> Option<Duration> {
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    threads.retain(|thread| thread.beat.strong_count() > 0);
    let ages = threads.iter().filter_map(|thread| Some((thread.beat.upgrade()?.age(), thread.timeout)));
    let ages: Vec<(Duration, Duration)> = ages.collect();
    let longest = ages.iter().map(|(age, _)| *age).max().unwrap_or_default();
    LAG.set(longest.saturating_sub(BEAT).as_secs_f64());
    ages.into_iter().find(|(age, timeout)| age > timeout).map(|(age, _)| age)
}
