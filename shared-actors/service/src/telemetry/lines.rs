//! A separate thread writes the log lines, because a blocked reader of our output must not block
//! the service.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Opts};
use shared_actors::fits;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

use super::LinesTo;
use shared_actors::metrics;

/// The maximum number of lines that wait to be written. Further lines are dropped and counted.
const WAITING_LINES: usize = 16 * 1024;

/// Returns the writer for log lines, and a guard that writes the remaining lines when it is
/// dropped.
pub(super) fn writer(lines_to: LinesTo) -> (NonBlocking, WorkerGuard) {
    let builder = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("log");
    match lines_to {
        LinesTo::Stdout => builder.finish(std::io::stdout()),
        LinesTo::Stderr => builder.finish(std::io::stderr()),
    }
}

/// Serves the number of dropped lines as a metric.
pub(super) fn count(lines: ErrorCounter) {
    let help = "Log lines dropped because the output did not accept them in time.";
    if let Ok(counted) = IntCounter::with_opts(Opts::new("log_lines_dropped_total", help)) {
        metrics::register(Dropped { counted, lines });
    }
}

struct Dropped {
    counted: IntCounter,
    lines: ErrorCounter,
}

impl Collector for Dropped {
    fn desc(&self) -> Vec<&Desc> {
        self.counted.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let dropped: u64 = fits(self.lines.dropped_lines());
        self.counted.inc_by(dropped.saturating_sub(self.counted.get()));
        self.counted.collect()
    }
}
