//! Logs and traces. Call [`init`] once, at the start of `main`, and [`Telemetry::shutdown`] at the
//! very end.
//!
//! For metrics see [`shared_actors::metrics`].

mod bounded;
mod export;
mod exporter;
mod format;
mod lines;

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::ExporterBuildError;
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::filter::{EnvFilter, ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

use bounded::{Bounded, LEFT_OUT};
use export::Export;
use format::{LogFormat, NoSpanFields};

use shared_actors::trace::{self, DETAIL, REQUEST};

use crate::settings::Reader;

/// Log targets that are quiet unless `RUST_LOG` names them. During migrations the server logs that
/// the migrations' own table exists. The exporter's libraries log each failed attempt to reach the
/// receiver, which the exporter itself logs once.
const QUIET: &str = "sqlx::postgres::notice=warn,opentelemetry=off,opentelemetry_sdk=off,opentelemetry-otlp=off,\
                     opentelemetry-http=off,actix_web_prom=error";

const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` is not a valid filter.
    #[error("RUST_LOG: expected a filter such as info or info,tonic=debug ({0})")]
    Filter(#[from] ParseError),
    /// `LOG_FORMAT` is neither `json` nor `pretty`.
    #[error("LOG_FORMAT={0:?}: expected json or pretty")]
    Format(String),
    /// The protocol is not supported.
    #[error("OTEL_EXPORTER_OTLP_PROTOCOL={0:?}: expected grpc or http/protobuf")]
    Protocol(String),
    /// The receiver's address is not a URL.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: expected an http:// or https:// URL ({0})")]
    Endpoint(String),
    /// The HTTP client cannot be built.
    #[error("OTEL_EXPORTER_OTLP_CERTIFICATE: {0}")]
    Client(#[from] reqwest::Error),
    /// The exporter does not accept its settings.
    #[error("OTEL_EXPORTER_OTLP_*: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// The exporter's runtime cannot start.
    #[error("cannot start the exporter's thread: {0}")]
    Runtime(std::io::Error),
    /// Telemetry was started before.
    #[error("cannot start telemetry: {0}")]
    Twice(#[from] TryInitError),
}

/// Where log lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinesTo {
    /// The standard output, for a service.
    Stdout,
    /// The standard error, for a command whose output is data.
    Stderr,
}

impl LinesTo {
    fn is_terminal(self) -> bool {
        match self {
            Self::Stdout => std::io::stdout().is_terminal(),
            Self::Stderr => std::io::stderr().is_terminal(),
        }
    }
}

/// Holds the exporter; dropping it without [`Self::shutdown`] loses the last spans.
#[must_use = "shut it down last, so that the last spans are exported"]
pub struct Telemetry {
    export: Option<Export>,
    /// Writes the remaining lines when it is dropped.
    lines: WorkerGuard,
}

/// Starts logging (`RUST_LOG`, `LOG_FORMAT`) and, if an endpoint is set, the export of traces
/// (`OTEL_*`). Must be called on a runtime.
///
/// Spans of target [`DETAIL`] go to the exporter only.
///
/// # Errors
/// A variable is wrong, or this is the second call.
pub fn init(service_name: &'static str, lines_to: LinesTo) -> Result<Telemetry, TelemetryError> {
    exporter::begin_counting();
    let export = export::start(service_name)?;
    let tracer = export.as_ref().map(|export| export.provider.tracer("shop"));
    let spans = tracer.clone().map(|tracer| {
        let filter =
            Targets::new().with_default(LevelFilter::INFO).with_target(DETAIL, LevelFilter::DEBUG);
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_filter(filter)
    });
    let (writer, guard) = lines::writer(lines_to);
    let dropped = writer.error_counter();
    let lines = fmt::layer()
        .with_writer(writer)
        .fmt_fields(NoSpanFields)
        .with_ansi(lines_to.is_terminal())
        .log_internal_errors(false)
        .event_format(Bounded::new(log_format()?, Handle::current()));
    let subscriber = tracing_subscriber::registry();
    if spans.is_some() {
        subscriber.with(lines.with_filter(log_filter()?)).with(spans).try_init()?;
    } else {
        // As a filter of the whole subscriber it reduces the cost of a disabled span or event to
        // one load.
        subscriber.with(lines).with(log_filter()?).try_init()?;
    }
    if let Some(tracer) = tracer {
        trace::export_with(tracer);
    }
    lines::count(dropped);
    Ok(Telemetry { export, lines: guard })
}

/// Checks the variables that [`init`] reads, so that all wrong settings are reported together.
pub(crate) fn check(reader: &mut Reader) {
    if log_format().is_err() {
        reader.reject("LOG_FORMAT", "json or pretty");
    }
    if log_filter().is_err() || !names_level() {
        reader.reject("RUST_LOG", "a filter such as info or info,tonic=debug");
    }
    export::check(reader);
}

fn log_format() -> Result<LogFormat, TelemetryError> {
    match std::env::var("LOG_FORMAT").unwrap_or_default().as_str() {
        "" | "pretty" => Ok(LogFormat::Pretty),
        "json" => Ok(LogFormat::Json),
        other => Err(TelemetryError::Format(other.to_owned())),
    }
}

/// Whether `RUST_LOG` sets a level. A filter of a single word that is none would be taken for a
/// target, and hide all lines of the others.
fn names_level() -> bool {
    let text = std::env::var("RUST_LOG").unwrap_or_default();
    let is_level = |word: &str| word.parse::<LevelFilter>().is_ok();
    let mut words = text.split(',').map(str::trim);
    text.trim().is_empty() || text.contains(['=', '[']) || words.any(is_level)
}

fn log_filter() -> Result<EnvFilter, TelemetryError> {
    let text = std::env::var("RUST_LOG").unwrap_or_default();
    let text = if text.trim().is_empty() { "info" } else { text.as_str() };
    let mentions_requests = text.split(',').any(|directive| directive.trim().starts_with(REQUEST));
    let requests = if mentions_requests { "" } else { ",request=info" };
    Ok(EnvFilter::builder().parse(format!("{QUIET},{text}{requests},{LEFT_OUT}=warn"))?)
}

impl Telemetry {
    /// Exports the remaining spans, within 3 s, and writes the last lines.
    pub async fn shutdown(self) {
        // Dropped last, so that failures below are still logged.
        let _lines = self.lines;
        let Some(Export { provider, runtime }) = self.export else { return };
        // On a blocking thread, because the exporter needs the runtime's threads meanwhile.
        let flushed = tokio::task::spawn_blocking(move || {
            let result = provider.shutdown_with_timeout(FLUSH_TIMEOUT);
            runtime.shutdown_background();
            result
        });
        if let Ok(Err(error)) = flushed.await {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}
