//! Bounds the log. Per second, one place in the code writes at most [`LINES`] warnings and errors.
//! The others are counted, and one line tells their number.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

const WINDOW: Duration = Duration::from_secs(1);
const LINES: u32 = 10;
/// The target of the lines that tell how many were left out.
const LEFT_OUT: &str = "log";

/// A layer for the whole subscriber.
#[derive(Clone, Default)]
pub(super) struct Bounded(Arc<Mutex<HashMap<Kind, Window>>>);

/// Lines that count together: from one place in the code and, if they have a `code`, with the same
/// one.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    place: Identifier,
    code: Option<String>,
}

/// The lines of one kind.
struct Window {
    since: Instant,
    lines: u32,
    left_out: u64,
    /// Whether a task will tell the number of lines that are left out.
    is_told: bool,
}

impl<S: Subscriber> Layer<S> for Bounded {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN || metadata.target() == LEFT_OUT {
            return true;
        }
        let kind = Kind { place: metadata.callsite(), code: text_of(event, "code") };
        let (is_written, is_told) = self.with(&kind, |window| {
            let is_written = window.has_room(Instant::now());
            let is_told = window.is_told;
            window.is_told |= !is_written;
            (is_written, is_told)
        });
        if !is_written && !is_told {
            self.tell_later(kind, text_of(event, "message").unwrap_or_default());
        }
        is_written
    }
}

impl Bounded {
    fn with<T>(&self, kind: &Kind, act: impl FnOnce(&mut Window) -> T) -> T {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = windows.get_mut(kind) {
            return act(window);
        }
        act(windows.entry(kind.clone()).or_insert(Window::new(Instant::now())))
    }

    fn tell_later(&self, kind: Kind, like: String) {
        let Ok(runtime) = Handle::try_current() else {
            // The next line of this kind tries again.
            return self.with(&kind, |window| window.is_told = false);
        };
        let windows = self.clone();
        runtime.spawn(async move {
            tokio::time::sleep(WINDOW).await;
            let more = windows.with(&kind, |window| {
                window.is_told = false;
                std::mem::take(&mut window.left_out)
            });
            let code = kind.code.as_deref();
            tracing::warn!(target: LEFT_OUT, like, code, more, "more lines like this one were left out");
        });
    }
}

impl Window {
    const fn new(now: Instant) -> Self {
        Self { since: now, lines: 0, left_out: 0, is_told: false }
    }

    /// Takes a line. Returns whether it is to be written.
    fn has_room(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= WINDOW {
            (self.since, self.lines) = (now, 0);
        }
        let has_room = self.lines < LINES;
        if has_room {
            self.lines += 1;
        } else {
            self.left_out += 1;
        }
        has_room
    }
}

/// The text of a field, if the event has it.
fn text_of(event: &Event<'_>, name: &'static str) -> Option<String> {
    let mut wanted = Wanted { name, text: None };
    event.record(&mut wanted);
    wanted.text
}

struct Wanted {
    name: &'static str,
    text: Option<String>,
}

impl Visit for Wanted {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == self.name {
            self.text = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == self.name {
            self.text = Some(format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing::subscriber::set_default;
    use tracing::{error, info, warn};
    use tracing_subscriber::fmt;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn with(&self, text: &str) -> Vec<String> {
            let all = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            all.lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_flood_of_lines_ten_per_second_are_written_and_the_others_counted() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer =
            fmt::layer().without_time().with_ansi(false).with_writer(move || writer.clone());
        let _guard =
            set_default(tracing_subscriber::registry().with(Bounded::default()).with(layer));
        for round in 1..=2 {
            for number in 0..100 {
                warn!(number, "flooded");
                let code = if number % 2 == 0 { "EVEN" } else { "ODD" };
                error!(code, "failed");
                info!("harmless");
            }
            tokio::time::sleep(2 * WINDOW).await;
            let told = lines.with("left out");
            assert_eq!((lines.with("number=").len(), told.len()), (10 * round, 3 * round));
            let last = &told[told.len() - 3..];
            for part in
                ["like=\"flooded\" more=90", "code=\"EVEN\" more=40", "code=\"ODD\" more=40"]
            {
                assert!(last.iter().any(|line| line.contains(part)), "{part}: {last:?}");
            }
            assert_eq!(lines.with("harmless").len(), 100 * round);
        }
    }
}
