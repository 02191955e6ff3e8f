//! The registry of metrics.
//!
//! The code that counts a domain's metrics registers them itself, through the constructors here.

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
};

/// Buckets in seconds for anything that a client waits for.
pub const LATENCY_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

/// The registry that `/metrics` serves. It includes the process metrics.
pub fn registry() -> &'static Registry {
    prometheus::default_registry()
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
