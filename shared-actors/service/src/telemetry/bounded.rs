//! Bounds the log. Each kind of warning or error gets at most [`LINES`] lines per second. One more
//! line per kind counts the others.

use std::collections::HashMap;
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber, warn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

const WINDOW: Duration = Duration::from_secs(1);
const LINES: u32 = 10;
/// The target of the lines that count those left out. It is not bounded.
pub(super) const LEFT_OUT: &str = "left_out";

/// A format that leaves lines out. It is not a filter of the layer: if such a filter rejects an event
/// by its content, the next event may be lost, too.
pub(super) struct Bounded<F> {
    format: F,
    windows: Windows,
    runtime: Handle,
}

type Windows = Arc<Mutex<HashMap<Kind, Window>>>;

/// One place in the code, and the value of the field `code` if its lines have one.
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
    /// Whether a task is waiting to log `left_out`.
    is_told: bool,
}

impl<S, N, F> FormatEvent<S, N> for Bounded<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    /// An error means that nothing is written.
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.admits(event) {
            self.format.format_event(context, writer, event)
        } else {
            Err(fmt::Error)
        }
    }
}

impl<F> Bounded<F> {
    /// The lines that count others are written by a task of `runtime`.
    pub fn new(format: F, runtime: Handle) -> Self {
        Self { format, windows: Arc::default(), runtime }
    }

    fn admits(&self, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN || metadata.target() == LEFT_OUT {
            return true;
        }
        let kind = Kind { place: metadata.callsite(), code: text_of(event, "code") };
        let (has_room, is_told) = with(&self.windows, &kind, |window| {
            let has_room = window.has_room(Instant::now());
            let is_told = window.is_told;
            window.is_told |= !has_room;
            (has_room, is_told)
        });
        if !has_room && !is_told {
            let like = text_of(event, "message").unwrap_or_default();
            self.runtime.spawn(tell_later(Arc::clone(&self.windows), kind, like));
        }
        has_room
    }
}

fn with<T>(windows: &Windows, kind: &Kind, act: impl FnOnce(&mut Window) -> T) -> T {
    let mut windows = windows.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(window) = windows.get_mut(kind) {
        return act(window);
    }
    act(windows.entry(kind.clone()).or_insert(Window::new(Instant::now())))
}

async fn tell_later(windows: Windows, kind: Kind, like: String) {
    tokio::time::sleep(WINDOW).await;
    let more = with(&windows, &kind, |window| {
        window.is_told = false;
        std::mem::take(&mut window.left_out)
    });
    let code = kind.code.as_deref();
    warn!(target: LEFT_OUT, like, code, more, "more lines like this one were left out");
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
    use tracing::{error, info};
    use tracing_subscriber::fmt::{format, layer};
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
        let format = format().without_time().with_ansi(false);
        let layer = layer()
            .with_ansi(false)
            .log_internal_errors(false)
            .event_format(Bounded::new(format, Handle::current()))
            .with_writer(move || writer.clone());
        let _guard = set_default(tracing_subscriber::registry().with(layer));
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
