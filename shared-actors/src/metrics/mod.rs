//! The registry of metrics, and the families that every service serves.
//!
//! A family that belongs to one domain is registered where it is counted, through the constructors here.

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

/// The label of requests that no route matches; keeps the label set bounded.
pub const UNMATCHED: &str = "unmatched";

/// The routes of every HTTP port that are not counted, beside the pages below [`SWAGGER_UI`].
pub const OPERATIONS: [&str; 4] = ["/livez", "/readyz", "/metrics", "/openapi.json"];

/// What the paths of Swagger UI begin with.
pub const SWAGGER_UI: &str = "/swagger-ui";

/// The media type of [`render`]'s text.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The registry that `/metrics` serves; it has the process' own metrics too.
pub fn registry() -> &'static Registry {
    prometheus::default_registry()
}

/// Everything in the registry and what the HTTP middleware has counted, in Prometheus' text format.
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
/// As [`counters`] does.
#[expect(clippy::expect_used, reason = "as the constructors below")]
pub fn register(collector: impl Collector + 'static) {
    registry().register(Box::new(collector)).expect("a metric family that is new");
}

macro_rules! constructor {
    ($(#[$doc:meta])* $name:ident, $kind:ty, $options:expr) => {
        $(#[$doc])*
        ///
        /// # Panics
        /// When the name or a label is not one of Prometheus', or the name is registered already: both are
        /// defects of the calling code, found at its first run.
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

/// Registers a family of histograms with buckets of its own.
///
/// # Panics
/// As [`counters`] does.
#[must_use]
#[expect(clippy::expect_used, reason = "as the constructors above")]
pub fn histograms(name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    let family = HistogramVec::new(options, labels).expect("a valid metric family");
    register(family.clone());
    family
}

/// Registers a counter without labels, which is served from now on.
///
/// # Panics
/// As [`counters`] does.
#[must_use]
pub fn counter(name: &str, help: &str) -> IntCounter {
    counters(name, help, &[]).with_label_values::<&str>(&[])
}

/// Registers a family of counters with one label, all of whose values are known: they are served as 0 before anything
/// is counted, so that the first event is an increase.
///
/// # Panics
/// As [`counters`] does.
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

/// The middleware that counts answered HTTP requests, except those of [`OPERATIONS`]. It has its own registry; [`render`]
/// serves both as one family. It does not see requests that end without a response: those, and 504, are counted through
/// [`ApiMetrics`].
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
    gauges("build_info", "Always 1; the labels say what runs.", &["service", "version", "revision"])
});

/// Says what runs, as the labels of `build_info`. `revision` is the commit, or empty.
pub fn set_build_info(service: &str, version: &str, revision: &str) {
    BUILD_INFO.with_label_values(&[service, version, revision]).set(1);
}

/// The metrics of one combination of method, route pattern and status: resolve once, then count cheaply.
#[derive(Clone)]
pub struct ApiMetrics {
    requests: IntCounter,
    duration: Histogram,
}

impl ApiMetrics {
    /// Resolves the labels; `url` is a route pattern and never a raw path.
    pub fn resolve(method: &str, url: &str, status: &str) -> Self {
        let labels = [method, url, status];
        Self {
            requests: API_REQUESTS.with_label_values(&labels),
            duration: API_DURATION.with_label_values(&labels),
        }
    }

    /// Counts one request.
    pub fn observe(&self, elapsed: Duration) {
        self.requests.inc();
        self.duration.observe(elapsed.as_secs_f64());
    }
}

/// Counts a call to another service. `url` is a pattern, `status` an HTTP status, a gRPC code's name or
/// what went wrong in one word.
pub fn external(url: &str, status: &str, elapsed: Duration) {
    EXTERNAL_REQUESTS.with_label_values(&[url, status]).inc();
    EXTERNAL_DURATION.with_label_values(&[url, status]).observe(elapsed.as_secs_f64());
}
