//! Places between two steps of a protocol where a test kills the process. Release builds have none.
//!
//! `CRASH_AT=<point>#<n>` kills the process, like `kill -9`, when it reaches the point for the n-th
//! time. `FAILPOINTS` works too, in the syntax of the crate `fail`:
//! `FAILPOINTS="<point>=sleep(150)"` makes a step slow.

/// Names a place where a test may kill the process: `crash_point!("create::reserved")`.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        $crate::crash::reached($name);
    };
}

/// Names a place where a test may make a thread panic: `panic_point!("consumer::reading")`.
/// `FAILPOINTS` sets when it does.
#[macro_export]
macro_rules! panic_point {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        $crate::crash::reached($name);
    };
}

#[cfg(debug_assertions)]
pub use armed::{arm, reached};

#[cfg(debug_assertions)]
mod armed {
    use std::sync::atomic::{AtomicU32, Ordering};

    use fail::FailScenario;
    use nix::sys::signal::{Signal, raise};

    /// Called by [`crash_point!`](crate::crash_point) and [`panic_point!`](crate::panic_point) at
    /// each point.
    pub fn reached(name: &str) {
        fail::fail_point!(name);
    }

    /// Reads from the environment what happens at which point. Must be called once, before anything
    /// else.
    ///
    /// # Panics
    /// Panics if the environment cannot be parsed. Otherwise, a process that should be killed would
    /// keep running unnoticed.
    pub fn arm() {
        // The points stay configured for as long as the process lives.
        std::mem::forget(FailScenario::setup());
        let Ok(setting) = std::env::var("CRASH_AT") else { return };
        let parsed = setting
            .split_once('#')
            .and_then(|(point, times)| Some((point, times.parse::<u32>().ok()?)));
        let Some((point, times)) = parsed else {
            panic!("CRASH_AT={setting}: expected <point>#<n>")
        };
        let left = AtomicU32::new(times);
        let armed = fail::cfg_callback(point, move || {
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                // SIGKILL cannot be caught: this does not return.
                let _ = raise(Signal::SIGKILL);
            }
        });
        if let Err(error) = armed {
            panic!("CRASH_AT={setting}: {error}");
        }
    }
}
