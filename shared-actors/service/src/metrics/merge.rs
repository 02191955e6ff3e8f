//! Merges families with the same name from two registries into one.

use prometheus::proto::{Bucket, Counter, Histogram, Metric, MetricFamily, MetricType};

/// Adds `more` to `families`. Counters and histograms with the same labels are summed, because a
/// scrape must not contain a series twice. The help text of `families` wins.
pub(super) fn merge(families: &mut Vec<MetricFamily>, more: Vec<MetricFamily>) {
    for mut family in more {
        let Some(known) = families.iter_mut().find(|known| known.name() == family.name()) else {
            families.push(family);
            continue;
        };
        let kind = known.get_field_type();
        for metric in family.take_metric() {
            let same =
                known.mut_metric().iter_mut().find(|same| same.get_label() == metric.get_label());
            match (same, kind) {
                (None, _) => known.mut_metric().push(metric),
                (Some(same), MetricType::COUNTER) => same.set_counter(counters(same, &metric)),
                (Some(same), MetricType::HISTOGRAM) => {
                    same.set_histogram(histograms(same, &metric));
                }
                (Some(_), _) => {}
            }
        }
    }
}

fn counters(one: &Metric, other: &Metric) -> Counter {
    let mut sum = Counter::default();
    sum.set_value(one.get_counter().get_value() + other.get_counter().get_value());
    sum
}

/// Sums two histograms with the same bounds.
fn histograms(one: &Metric, other: &Metric) -> Histogram {
    let (one, other) = (one.get_histogram(), other.get_histogram());
    let buckets = one.get_bucket().iter().zip(other.get_bucket()).map(|(one, other)| {
        let mut sum = Bucket::default();
        sum.set_upper_bound(one.upper_bound());
        sum.set_cumulative_count(one.cumulative_count() + other.cumulative_count());
        sum
    });
    let mut sum = Histogram::default();
    sum.set_bucket(buckets.collect());
    sum.set_sample_count(one.get_sample_count() + other.get_sample_count());
    sum.set_sample_sum(one.get_sample_sum() + other.get_sample_sum());
    sum
}

#[cfg(test)]
mod tests {
    use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};

    use super::*;

    /// A registry that has counted one request for each of `urls`.
    fn counted(help: &str, urls: &[&str]) -> Vec<MetricFamily> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(Opts::new("requests", help), &["url"]).unwrap();
        let options = HistogramOpts::new("seconds", help).buckets(vec![0.1, 1.0]);
        let seconds = HistogramVec::new(options, &["url"]).unwrap();
        registry.register(Box::new(requests.clone())).unwrap();
        registry.register(Box::new(seconds.clone())).unwrap();
        for url in urls {
            requests.with_label_values(&[url]).inc();
            seconds.with_label_values(&[url]).observe(0.5);
        }
        registry.gather()
    }

    #[test]
    fn a_series_of_both_registries_is_served_once_as_the_sum() {
        let mut families = counted("ours", &["/both", "/ours"]);
        merge(&mut families, counted("theirs", &["/both", "/theirs"]));
        let text = TextEncoder::new().encode_to_string(&families).unwrap();
        for line in [
            "# HELP requests ours",
            r#"requests{url="/both"} 2"#,
            r#"requests{url="/ours"} 1"#,
            r#"requests{url="/theirs"} 1"#,
            r#"seconds_bucket{url="/both",le="0.1"} 0"#,
            r#"seconds_bucket{url="/both",le="1"} 2"#,
            r#"seconds_sum{url="/both"} 1"#,
            r#"seconds_count{url="/both"} 2"#,
        ] {
            assert_eq!(
                text.lines().filter(|served| *served == line).count(),
                1,
                "{line} in {text}"
            );
        }
        assert!(!text.contains("theirs\n"), "{text}");
    }

    #[test]
    fn a_family_of_one_registry_is_served_as_it_is() {
        let mut families = Vec::new();
        merge(&mut families, counted("theirs", &["/theirs"]));
        let text = TextEncoder::new().encode_to_string(&families).unwrap();
        assert!(text.contains(r#"requests{url="/theirs"} 1"#), "{text}");
    }
}
