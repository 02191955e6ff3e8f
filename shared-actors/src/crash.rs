//! Places between two steps of a protocol where a test kills the process. No release build has any of them.
//!
//! `CRASH_AT=<point>#<n>` kills the process, as `kill -9` does, when it comes to the point for the n-th time. What
//! `FAILPOINTS` says, in the words of the crate `fail`, holds too: `FAILPOINTS="<point>=sleep(150)"` makes a step slow.

/// Names a place where a test may kill the process: `crash_point!("create::reserved")`.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        $crate::crash::reached($name);
    };
}

/// Names a place where a test may make a thread panic: `panic_point!("consumer::reading")`. `FAILPOINTS` says when.
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

    /// Comes to a point; [`crash_point!`](crate::crash_point) and [`panic_point!`](crate::panic_point) call it.
    pub fn reached(name: &str) {
        fail::fail_point!(name);
    }

    /// Reads from the environment what is to happen at which point. To be called once, before anything else.
    ///
    /// # Panics
    /// When the environment cannot be understood: what was to be killed must not live on unnoticed.
    pub fn arm() {
        // Points stay as they are set for as long as the process lives.
        std::mem::forget(FailScenario::setup());
        let Ok(setting) = std::env::var("CRASH_AT") else { return };
        let parsed =
            setting.split_once('#').and_then(|(point, times)| Some((point, times.parse::<u32>().ok()?)));
        let Some((point, times)) = parsed else { panic!("CRASH_AT={setting}: expected <point>#<n>") };
        let left = AtomicU32::new(times);
        let armed = fail::cfg_callback(point, move || {
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                // Nobody can catch it: this does not return.
                let _ = raise(Signal::SIGKILL);
            }
        });
        if let Err(error) = armed {
            panic!("CRASH_AT={setting}: {error}");
        }
    }
}
