//! The registry of metrics, and the families that every service serves.
//!
//! The code that counts a domain's metrics registers them itself, through the constructors here.

mod merge;

use std::sync::LazyLock;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web_prom::{
    ActixMetricsConfiguration, LabelsConfiguration, PrometheusMetrics, PrometheusMetricsBuilder,
};
use prometheus::core::Collector;
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// Buckets in seconds for anything that a client waits for.
pub const LATENCY_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// The label of requests that match no route; it keeps the label set bounded.
pub const UNMATCHED: &str = "unmatched";

/// The routes of every HTTP port that are not counted, besides the pages below [`SWAGGER_UI`].
pub const OPERATIONS: [&str; 4] = ["/livez", "/readyz", "/metrics", "/openapi.json"];

/// The prefix of Swagger UI's paths.
pub const SWAGGER_UI: &str = "/swagger-ui";

/// The media type of the text that [`render`] returns.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The registry that `/metrics` serves. It includes the process metrics.
pub fn registry() -> &'static Registry {
    prometheus::default_registry()
}

/// Returns everything in the registry, and what the HTTP middleware has counted, in Prometheus'
/// text format.
///
/// ```
/// use std::time::Duration;
/// use shared_actors::metrics;
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
            if family.name() == API_REQUESTS_NAME { API_REQUESTS_HELP } else { API_DURATION_HELP }.to_owned(),
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

/// Adds a collector to the registry.
///
/// # Panics
/// Under the same conditions as [`counters`].
#[expect(clippy::expect_used, reason = "as the constructors below")]
pub fn register(collector: impl Collector + 'static) {
    registry().register(Box::new(collector)).expect("a metric family that is new");
}

macro_rules! constructor {
    ($(#[$doc:meta])* $name:ident, $kind:ty, $options:expr) => {
        $(#[$doc])*
        ///
        /// # Panics
        /// If the name or a label is not valid in Prometheus, or if the name is already registered.
        /// Both are bugs in the calling code, and its first run finds them.
        #[must_use]
        #[allow(clippy::expect_used)]
        pub fn $name(name: &str, help: &str, labels: &[&str]) -> $kind {
            let options: fn(&str, &str) -> _ = $options;
            let family = <$kind>::new(options(name, help), labels).expect("a valid metric family");
            register(family.clone());
            family
        }
    };
}

constructor!(
    /// Registers a family of counters.
    counters, IntCounterVec, |name, help| Opts::new(name, help)
);
constructor!(
    /// Registers a family of gauges that hold whole numbers.
    gauges, IntGaugeVec, |name, help| Opts::new(name, help)
);
constructor!(
    /// Registers a family of gauges.
    float_gauges, GaugeVec, |name, help| Opts::new(name, help)
);
constructor!(
    /// Registers a family of histograms over seconds, with [`LATENCY_BUCKETS`].
    latencies, HistogramVec, |name, help| HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec())
);

/// Registers a family of histograms with the given buckets.
///
/// # Panics
/// Under the same conditions as [`counters`].
#[must_use]
#[expect(clippy::expect_used, reason = "as the constructors above")]
pub fn histograms(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    let family = HistogramVec::new(options, labels).expect("a valid metric family");
    register(family.clone());
    family
}

/// Registers a counter without labels; it is served as 0 from now on.
///
/// # Panics
/// Under the same conditions as [`counters`].
#[must_use]
pub fn counter(name: &str, help: &str) -> IntCounter {
    counters(name, help, &[]).with_label_values::<&str>(&[])
}

/// Registers a family of counters with one label whose values are all known. They are served as 0
/// before anything is counted, so that the first event is an increase.
///
/// # Panics
/// Under the same conditions as [`counters`].
#[must_use]
pub fn counters_by(name: &str, help: &str, label: &str, values: &[&str]) -> IntCounterVec {
    let family = counters(name, help, &[label]);
    for value in values {
        family.with_label_values(&[value]);
    }
    family
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
    let middleware = OPERATIONS.iter().fold(middleware, |middleware, path| middleware.exclude(*path));
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
