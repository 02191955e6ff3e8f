//! The log of failed requests. While they are few, each gets a line. The rest share one line per
//! second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::error::ErrorCode;

const WINDOW: Duration = Duration::from_secs(1);
/// How many failures of one code get a line of their own per window.
const LINES: u32 = 10;

static FAILURES: Mutex<Vec<(ErrorCode, Failures)>> = Mutex::new(Vec::new());

/// The failures of one code.
struct Failures {
    since: Instant,
    lines: u32,
    more: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// It gets a line of its own.
    Shown,
    /// It is the first without a line of its own. Its caller must report it and those that follow.
    FirstCounted,
    Counted,
}

/// Logs a request that failed with `code`. `error` creates the text only if it is written.
pub fn log(code: ErrorCode, error: impl FnOnce() -> String) {
    match with(code, |failures| failures.turn(Instant::now())) {
        Turn::Shown => tracing::error!(code = code.as_str(), error = error(), "request failed"),
        Turn::FirstCounted => {
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(async move {
                    tokio::time::sleep(WINDOW).await;
                    let more = with(code, |failures| std::mem::take(&mut failures.more));
                    tracing::error!(code = code.as_str(), more, "more requests failed");
                });
            }
        }
        Turn::Counted => {}
    }
}

fn with<T>(code: ErrorCode, act: impl FnOnce(&mut Failures) -> T) -> T {
    let mut all = FAILURES.lock().unwrap_or_else(PoisonError::into_inner);
    let index = all.iter().position(|(known, _)| *known == code).unwrap_or_else(|| {
        all.push((code, Failures::new(Instant::now())));
        all.len() - 1
    });
    act(&mut all[index].1)
}

impl Failures {
    const fn new(now: Instant) -> Self {
        Self { since: now, lines: 0, more: 0 }
    }

    fn turn(&mut self, now: Instant) -> Turn {
        if now.duration_since(self.since) >= WINDOW {
            (self.since, self.lines) = (now, 0);
        }
        if self.lines < LINES {
            self.lines += 1;
            return Turn::Shown;
        }
        self.more += 1;
        if self.more == 1 { Turn::FirstCounted } else { Turn::Counted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_failures_have_a_line_each_and_the_others_of_a_second_one_together() {
        let start = Instant::now();
        let mut failures = Failures::new(start);
        for _ in 0..LINES {
            assert_eq!(failures.turn(start), Turn::Shown);
        }
        assert_eq!(failures.turn(start), Turn::FirstCounted);
        assert_eq!(failures.turn(start), Turn::Counted);
        assert_eq!(failures.turn(start + WINDOW), Turn::Shown);
        assert_eq!(failures.more, 2);
    }
}
