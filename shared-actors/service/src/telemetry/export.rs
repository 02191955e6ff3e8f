//! The export of traces over OTLP, configured by the standard `OTEL_*` variables. Nothing is
//! exported unless they name an endpoint.

use std::env;
use std::ffi::OsString;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::{Certificate, Identity, redirect};
use tokio::runtime::Runtime;
use tonic::transport::Endpoint;

use super::TelemetryError;
use super::exporter::ObservedExporter;
use crate::grpc;
use crate::settings::Reader;
use crate::tls::ClientTls;

/// The maximum number of links per span. The largest batch is one read of the outbox, and each of
/// its events may come from a different trace.
const MAX_LINKS: u32 = 512;

/// How long an export may take unless `OTEL_EXPORTER_OTLP_TIMEOUT` is set.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

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
    /// The gRPC exporter's connection has its own runtime, so that neither its start nor its end
    /// depends on the caller's.
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

/// Rejects values that the SDK would silently ignore; it would then sample everything.
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
    if is_wanted() {
        let of_traces_alone = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        let is_of_traces = variable(of_traces_alone).is_some();
        let name = if is_of_traces { of_traces_alone } else { "OTEL_EXPORTER_OTLP_ENDPOINT" };
        let endpoint = of_traces("ENDPOINT").unwrap_or_default().to_ascii_lowercase();
        let scheme = endpoint.split_once("://").map_or("http", |(scheme, _)| scheme);
        if tls(reader).is_set() && scheme != "https" {
            reader.reject(name, "an https:// URL, because a certificate is set");
        } else if !["http", "https"].contains(&scheme) {
            reader.reject(name, "an http:// or https:// URL");
        }
    }
    if of_traces("PROTOCOL").is_some_and(|protocol| !PROTOCOLS.contains(&protocol.as_str())) {
        reader.reject("OTEL_EXPORTER_OTLP_PROTOCOL", format!("one of {}", PROTOCOLS.join(", ")));
    }
}

fn is_wanted() -> bool {
    of_traces("ENDPOINT").is_some()
        && variable("OTEL_SDK_DISABLED").is_none_or(|value| !value.eq_ignore_ascii_case("true"))
        && variable("OTEL_TRACES_EXPORTER").is_none_or(|value| value != "none")
}

fn exporter(runtime: &Runtime) -> Result<SpanExporter, TelemetryError> {
    let utf8 = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let tls = tls(&mut Reader::from_pairs(env::vars_os().filter_map(utf8)));
    let built: Result<SpanExporter, ExporterBuildError> = match of_traces("PROTOCOL").as_deref() {
        Some("grpc") => {
            let _guard = runtime.enter();
            let endpoint = endpoint(&of_traces("ENDPOINT").unwrap_or_default(), &tls)?;
            SpanExporter::builder().with_tonic().with_channel(endpoint.connect_lazy()).build()
        }
        // A request that gets no answer closes its connection.
        None | Some("http/protobuf") => {
            SpanExporter::builder().with_http().with_http_client(http_client(tls)?).build()
        }
        Some(other) => return Err(TelemetryError::Protocol(other.to_owned())),
    };
    Ok(built?)
}

/// The client of the HTTP exporter. A blocking client must not be built on a thread of a runtime.
fn http_client(tls: ClientTls) -> Result<reqwest::blocking::Client, TelemetryError> {
    let client = move || {
        let mut builder = reqwest::blocking::Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .timeout(timeout());
        if let Some(ca) = &tls.ca {
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(ca.bytes())?);
        }
        if let Some((certificates, key)) = &tls.identity {
            let pem = [certificates.bytes(), b"\n", key.bytes()].concat();
            builder = builder.identity(Identity::from_pem(&pem)?);
        }
        builder.build()
    };
    let outcome = std::thread::scope(|scope| scope.spawn(client).join());
    Ok(outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?)
}

/// The endpoint of the gRPC exporter, with keep-alive. The exporter's own connection would stay
/// with a receiver that stopped answering.
fn endpoint(url: &str, tls: &ClientTls) -> Result<Endpoint, TelemetryError> {
    let endpoint =
        grpc::endpoint(url, tls).map_err(|error| TelemetryError::Endpoint(error.to_string()))?;
    if !matches!(endpoint.uri().scheme_str(), Some("http" | "https")) {
        return Err(TelemetryError::Endpoint(format!("{url:?}")));
    }
    Ok(endpoint.keep_alive_while_idle(true).timeout(timeout()))
}

fn timeout() -> Duration {
    let millis = of_traces("TIMEOUT").and_then(|millis| millis.parse().ok());
    millis.map_or(EXPORT_TIMEOUT, Duration::from_millis)
}

/// Reads `OTEL_EXPORTER_OTLP_CERTIFICATE`, `…_CLIENT_CERTIFICATE` and `…_CLIENT_KEY`, or those for
/// traces.
fn tls(reader: &mut Reader) -> ClientTls {
    let names = ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"].map(|part| {
        let of_traces = format!("OTEL_EXPORTER_OTLP_TRACES_{part}");
        if variable(&of_traces).is_some() {
            of_traces
        } else {
            format!("OTEL_EXPORTER_OTLP_{part}")
        }
    });
    let [ca, certificate, key] = &names;
    ClientTls::from_files(reader, ca, certificate, key)
}

/// An OTLP variable. The one for traces takes precedence over the one for all signals.
fn of_traces(name: &str) -> Option<String> {
    variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
        .or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{name}")))
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{ClientTls, endpoint};

    #[tokio::test]
    async fn an_address_that_cannot_be_exported_to_is_named() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for right in ["http://localhost:4317", "https://localhost:4317"] {
            assert!(endpoint(right, &ClientTls::default()).is_ok(), "{right}");
        }
        for wrong in ["http://local host", "grpcs://localhost:4317", "htps://localhost:4317"] {
            let error = endpoint(wrong, &ClientTls::default()).unwrap_err().to_string();
            let expected = "OTEL_EXPORTER_OTLP_ENDPOINT: expected an http:// or https:// URL";
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
