//! Reads the output of /metrics.

use std::collections::{BTreeMap, BTreeSet};

/// The header of one metric family.
#[derive(Debug)]
pub struct Family {
    pub name: String,
    pub kind: String,
    pub help: String,
}

/// The metric families of a page.
pub fn families(page: &str) -> Vec<Family> {
    let of = |prefix: &'static str| {
        page.lines().filter_map(move |line| line.strip_prefix(prefix)?.split_once(' '))
    };
    let help =
        |name: &str| of("# HELP ").find(|(known, _)| *known == name).map_or("", |(_, help)| help);
    let family = |(name, kind): (&str, &str)| Family {
        name: name.to_owned(),
        kind: kind.to_owned(),
        help: help(name).to_owned(),
    };
    of("# TYPE ").map(family).collect()
}

/// One sample: a name, its labels and a value.
#[derive(Debug)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// All samples of a page.
#[derive(Debug)]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// Parses the text format. Fails on an invalid line.
    pub fn parse(page: &str) -> Self {
        let lines = page.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(
            lines
                .map(|line| parse_line(line).unwrap_or_else(|| panic!("no sample: {line}")))
                .collect(),
        )
    }

    /// The samples with this name.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// Fails unless samples with this name exist and all have exactly these labels.
    pub fn require(&self, service: &str, name: &str, labels: &[&str]) {
        let known: BTreeSet<&str> = self.0.iter().map(|sample| sample.name.as_str()).collect();
        assert!(known.contains(name), "{service} has no {name}; it has {known:#?}");
        for sample in self.of(name) {
            let found: BTreeSet<&str> = sample.labels.keys().map(String::as_str).collect();
            assert_eq!(found, labels.iter().copied().collect(), "labels of {name} of {service}");
        }
    }

    /// The sum of the samples with this name that have all these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &&Sample| {
            labels
                .iter()
                .all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
        };
        self.of(name).filter(has).map(|sample| sample.value).sum()
    }
}

fn parse_line(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    let mut parsed = BTreeMap::new();
    let mut rest = labels.trim_end_matches(',');
    while !rest.is_empty() {
        let (label, after) = rest.split_once("=\"")?;
        // No label value of the shop contains an escaped quotation mark.
        let (value, after) = after.split_once('"')?;
        parsed.insert(label.to_owned(), value.to_owned());
        rest = after.trim_start_matches(',');
    }
    Some(Sample { name: name.to_owned(), labels: parsed, value: value.parse().ok()? })
}
