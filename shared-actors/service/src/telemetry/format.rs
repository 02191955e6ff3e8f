//! The format of log lines: one line per event, as text for people or as JSON, with the trace id.
//!
//! The fields of spans are not repeated on each line, so that a span costs no formatting. The trace
//! id leads to them.

use std::fmt;

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use shared_actors::trace;

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogFormat {
    Json,
    Pretty,
}

/// Formats nothing; the module's documentation says why.
pub(super) struct NoSpanFields;

impl<'w> FormatFields<'w> for NoSpanFields {
    fn format_fields<R: RecordFields>(&self, _: Writer<'w>, _: R) -> fmt::Result {
        Ok(())
    }
}

struct Line {
    time: String,
    level: Level,
    target: String,
    message: String,
    fields: Map<String, Value>,
}

impl<S, N> FormatEvent<S, N> for LogFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut line = Line {
            time: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            level: *metadata.level(),
            target: metadata.target().to_owned(),
            message: String::new(),
            fields: Map::new(),
        };
        event.record(&mut line);
        // The trace of the current span, even if only the exporter sees that span.
        if let Some(trace) = trace::current() {
            line.fields.insert("trace_id".to_owned(), trace.trace_id().into());
        }
        match self {
            Self::Json => line.write_json(writer, ctx.lookup_current().map(|span| span.name())),
            Self::Pretty => line.write_text(writer),
        }
    }
}

impl Line {
    fn write_json(self, mut writer: Writer<'_>, span: Option<&str>) -> fmt::Result {
        let mut object = Map::new();
        object.insert("timestamp".to_owned(), self.time.into());
        object.insert("level".to_owned(), self.level.as_str().into());
        object.insert("target".to_owned(), self.target.into());
        object.insert("message".to_owned(), self.message.into());
        if let Some(span) = span {
            object.insert("span".to_owned(), span.into());
        }
        object.extend(self.fields);
        writeln!(writer, "{}", Value::Object(object))
    }

    fn write_text(self, mut writer: Writer<'_>) -> fmt::Result {
        let (on, off) =
            if writer.has_ansi_escapes() { (color(self.level), "\u{1b}[0m") } else { ("", "") };
        write!(writer, "{} {on}{:>5}{off} {}", self.time, self.level.as_str(), self.target)?;
        write!(writer, ": {}", self.message)?;
        for (name, value) in self.fields {
            match value {
                Value::String(text)
                    if !text.contains(|c: char| c.is_whitespace() || c == '"')
                        && !text.is_empty() =>
                {
                    write!(writer, " {name}={text}")?;
                }
                other => write!(writer, " {name}={other}")?,
            }
        }
        writer.write_char('\n')
    }
}

fn color(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        _ => "\u{1b}[34m",
    }
}

impl Line {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            // Events from the `log` crate carry their origin as fields.
            ("log.target", Value::String(target)) => self.target = target,
            (name, _) if name.starts_with("log.") => {}
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, value.to_string().into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}
