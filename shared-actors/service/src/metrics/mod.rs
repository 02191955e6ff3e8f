//! The metrics that every service serves, and `/metrics` itself.

mod merge;

use std::sync::LazyLock;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web_prom::{
    ActixMetricsConfiguration, LabelsConfiguration, PrometheusMetrics, PrometheusMetricsBuilder,
};
use prometheus::{
    Encoder, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Registry, TextEncoder,
};
use shared_actors::metrics::{LATENCY_BUCKETS, counters, gauges, latencies, registry};

/// The label of requests that match no route; it keeps the label set bounded.
pub const UNMATCHED: &str = "unmatched";

/// The routes of every HTTP port that are not counted, besides the pages below [`SWAGGER_UI`].
pub const OPERATIONS: [&str; 4] = ["/livez", "/readyz", "/metrics", "/openapi.json"];

/// The prefix of Swagger UI's paths.
pub const SWAGGER_UI: &str = "/swagger-ui";

/// The media type of the text that [`render`] returns.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Returns everything in the registry, and what the HTTP middleware has counted, in Prometheus'
/// text format.
///
/// ```
/// use std::time::Duration;
/// use service_kit::metrics;
///
/// metrics::external("/get_product", "200", Duration::from_millis(3));
/// let text = metrics::render();
/// assert!(text.contains(r#"external_requests_total{status="200",url="/get_product"} 1"#));
/// ```
pub fn render() -> String {
    let mut families = registry().gather();
    let mut of_http = HTTP.registry.gather();
    for family in &mut of_http {
        family.set_help(
            if family.name() == API_REQUESTS_NAME { API_REQUESTS_HELP } else { API_DURATION_HELP }
                .to_owned(),
        );
    }
    merge::merge(&mut families, of_http);
    families.sort_by(|one, other| one.name().cmp(other.name()));
    let mut text = Vec::new();
    if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
        tracing::error!(%error, "metrics cannot be rendered");
    }
    String::from_utf8(text).unwrap_or_default()
}

const API_REQUESTS_NAME: &str = "api_requests_total";
const API_REQUESTS_HELP: &str = "Requests answered, over HTTP and gRPC.";
const API_DURATION_NAME: &str = "api_request_duration_seconds";
const API_DURATION_HELP: &str = "Time from a request's arrival to its answer, in seconds.";

static API_REQUESTS: LazyLock<IntCounterVec> =
    LazyLock::new(|| counters(API_REQUESTS_NAME, API_REQUESTS_HELP, &["method", "url", "status"]));
static API_DURATION: LazyLock<HistogramVec> =
    LazyLock::new(|| latencies(API_DURATION_NAME, API_DURATION_HELP, &["method", "url", "status"]));

static HTTP: LazyLock<PrometheusMetrics> = LazyLock::new(|| {
    let labels = LabelsConfiguration::default().endpoint("url").method("method").status("status");
    let names = ActixMetricsConfiguration::default()
        .http_requests_total_name(API_REQUESTS_NAME)
        .http_requests_duration_seconds_name(API_DURATION_NAME)
        .labels(labels);
    let middleware = PrometheusMetricsBuilder::new("")
        .registry(Registry::new())
        .buckets(LATENCY_BUCKETS)
        .mask_unmatched_patterns(UNMATCHED)
        .exclude_status(StatusCode::GATEWAY_TIMEOUT)
        .metrics_configuration(names);
    let middleware =
        OPERATIONS.iter().fold(middleware, |middleware, path| middleware.exclude(*path));
    #[expect(clippy::expect_used, reason = "the names are constant and the registry is new")]
    middleware.exclude_regex(format!("^{SWAGGER_UI}")).build().expect("valid metric families")
});

/// The middleware that counts answered HTTP requests, except those of [`OPERATIONS`] and below
/// [`SWAGGER_UI`].
///
/// It has its own registry; [`render`] merges both. It does not see requests that end without a
/// response. Those, and responses with status 504, are counted through [`ApiMetrics`].
pub fn http() -> PrometheusMetrics {
    HTTP.clone()
}
static EXTERNAL_REQUESTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    counters("external_requests_total", "Requests sent to other services.", &["url", "status"])
});
static EXTERNAL_DURATION: LazyLock<HistogramVec> = LazyLock::new(|| {
    let help = "Time until another service answered, in seconds.";
    latencies("external_request_duration_seconds", help, &["url", "status"])
});
static BUILD_INFO: LazyLock<IntGaugeVec> = LazyLock::new(|| {
    gauges(
        "build_info",
        "Always 1; the labels name the service, its version and its revision.",
        &["service", "version", "revision"],
    )
});

/// Sets the labels of `build_info`. `revision` is the commit, or empty.
pub fn set_build_info(service: &str, version: &str, revision: &str) {
    BUILD_INFO.with_label_values(&[service, version, revision]).set(1);
}

/// The metrics of one combination of method, route pattern and status: resolve once, then count
/// cheaply.
#[derive(Clone)]
pub struct ApiMetrics {
    requests: IntCounter,
    duration: Histogram,
}

impl ApiMetrics {
    /// Resolves the labels. `url` is a route pattern, never a raw path.
    pub fn resolve(method: &str, url: &str, status: &str) -> Self {
        let labels = [method, url, status];
        Self {
            requests: API_REQUESTS.with_label_values(&labels),
            duration: API_DURATION.with_label_values(&labels),
        }
    }

    /// Counts one request that took `elapsed`.
    pub fn observe(&self, elapsed: Duration) {
        self.requests.inc();
        self.duration.observe(elapsed.as_secs_f64());
    }
}

/// Counts a call to another service. `url` is a pattern. `status` is an HTTP status, the name of a
/// gRPC code, or one word for what went wrong.
pub fn external(url: &str, status: &str, elapsed: Duration) {
    EXTERNAL_REQUESTS.with_label_values(&[url, status]).inc();
    EXTERNAL_DURATION.with_label_values(&[url, status]).observe(elapsed.as_secs_f64());
}
