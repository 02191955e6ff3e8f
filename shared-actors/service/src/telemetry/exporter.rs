//! The exporter that the service uses. It may fail for any length of time, which is logged only
//! once.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prometheus::IntCounterVec;

use shared_actors::metrics;

static SPANS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help = "Exported spans, by outcome: ok, error.";
    metrics::counters_by("trace_spans_exported_total", help, "outcome", &["ok", "error"])
});

/// Serves the counters as 0 from now on.
pub(super) fn begin_counting() {
    LazyLock::force(&SPANS);
}

/// Counts the exported spans, and logs when exports start to fail and when they work again.
#[derive(Debug)]
pub(super) struct ObservedExporter {
    inner: OtlpExporter,
    failing: AtomicBool,
}

impl ObservedExporter {
    pub(super) fn new(inner: OtlpExporter) -> Self {
        Self { inner, failing: AtomicBool::new(false) }
    }
}

impl SpanExporter for ObservedExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result = self.inner.export(batch).await;
        let was_failing = self.failing.swap(result.is_err(), Ordering::Relaxed);
        match &result {
            Ok(()) => {
                SPANS.with_label_values(&["ok"]).inc_by(spans);
                if was_failing {
                    tracing::info!("traces are exported again");
                }
            }
            Err(error) => {
                SPANS.with_label_values(&["error"]).inc_by(spans);
                if !was_failing {
                    tracing::warn!(%error, "traces cannot be exported and are dropped for now");
                }
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
