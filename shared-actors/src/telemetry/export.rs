//! Where traces go: OTLP, set by the standard `OTEL_*` variables; nowhere unless they name an endpoint.

use std::env;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;

use super::TelemetryError;
use super::exporter::ObservedExporter;
use crate::settings::Reader;

/// The largest batch is an outbox read at once: each of its events may come from a trace of its own.
const MAX_LINKS: u32 = 512;

const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];
const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

pub(super) struct Export {
    pub(super) provider: SdkTracerProvider,
    /// The gRPC exporter's connection lives on a runtime of its own, so that neither its start nor its end depends
    /// on the one of the caller.
    pub(super) runtime: Runtime,
}

pub(super) fn start(service_name: &'static str) -> Result<Option<Export>, TelemetryError> {
    if !is_wanted() {
        return Ok(None);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("telemetry")
        .enable_all()
        .build()
        .map_err(TelemetryError::Runtime)?;
    let exporter = ObservedExporter::new(exporter(&runtime)?);
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let instance = KeyValue::new("service.instance.id", uuid::Uuid::new_v4().to_string());
    let mut resource = Resource::builder().with_attributes([version, instance]);
    if variable("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(service_name);
    }
    let mut provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build());
    if variable("OTEL_SPAN_LINK_COUNT_LIMIT").is_none() {
        provider = provider.with_max_links_per_span(MAX_LINKS);
    }
    Ok(Some(Export { provider: provider.build(), runtime }))
}

/// Notes what the SDK would pass over in silence: it samples everything then.
pub(super) fn check(reader: &mut Reader) {
    let sampler = variable("OTEL_TRACES_SAMPLER");
    if sampler.as_deref().is_some_and(|sampler| !SAMPLERS.contains(&sampler)) {
        reader.reject("OTEL_TRACES_SAMPLER", format!("one of {}", SAMPLERS.join(", ")));
    }
    let ratio = variable("OTEL_TRACES_SAMPLER_ARG");
    let is_ratio = |ratio: &str| ratio.parse().is_ok_and(|ratio: f64| (0.0..=1.0).contains(&ratio));
    let by_ratio = sampler.is_some_and(|sampler| sampler.ends_with("traceidratio"));
    if ratio.as_deref().map_or(by_ratio, |ratio| !is_ratio(ratio)) {
        reader.reject("OTEL_TRACES_SAMPLER_ARG", "a number from 0 to 1");
    }
    if protocol().is_some_and(|protocol| !PROTOCOLS.contains(&protocol.as_str())) {
        reader.reject("OTEL_EXPORTER_OTLP_PROTOCOL", format!("one of {}", PROTOCOLS.join(", ")));
    }
}

fn protocol() -> Option<String> {
    variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| variable("OTEL_EXPORTER_OTLP_PROTOCOL"))
}

fn is_wanted() -> bool {
    let endpoint = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    endpoint.iter().any(|name| variable(name).is_some())
        && variable("OTEL_SDK_DISABLED").is_none_or(|value| !value.eq_ignore_ascii_case("true"))
        && variable("OTEL_TRACES_EXPORTER").is_none_or(|value| value != "none")
}

fn exporter(runtime: &Runtime) -> Result<SpanExporter, TelemetryError> {
    let built: Result<SpanExporter, ExporterBuildError> = match protocol().as_deref() {
        Some("grpc") => {
            let _guard = runtime.enter();
            SpanExporter::builder().with_tonic().build()
        }
        None | Some("http/protobuf") => SpanExporter::builder().with_http().build(),
        Some(other) => return Err(TelemetryError::Protocol(other.to_owned())),
    };
    Ok(built?)
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
