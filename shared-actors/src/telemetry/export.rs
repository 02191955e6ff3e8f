//! Where traces go: OTLP, set by the standard `OTEL_*` variables; nowhere unless they name an endpoint.

use std::env;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;

use super::TelemetryError;
use super::exporter::ObservedExporter;

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
    let mut resource = Resource::builder().with_attribute(version);
    if variable("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(service_name);
    }
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
    Ok(Some(Export { provider, runtime }))
}

fn is_wanted() -> bool {
    let endpoint = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    endpoint.iter().any(|name| variable(name).is_some())
        && variable("OTEL_SDK_DISABLED").is_none_or(|value| !value.eq_ignore_ascii_case("true"))
        && variable("OTEL_TRACES_EXPORTER").is_none_or(|value| value != "none")
}

fn exporter(runtime: &Runtime) -> Result<SpanExporter, TelemetryError> {
    let protocol =
        variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| variable("OTEL_EXPORTER_OTLP_PROTOCOL"));
    let built: Result<SpanExporter, ExporterBuildError> = match protocol.as_deref() {
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
