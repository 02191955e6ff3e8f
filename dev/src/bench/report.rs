//! The results: a table to read, a JSON file, and pictures.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::Options;
use super::chart;
use super::machine::Machine;
use super::summary::Summary;
use super::workloads::{Goal, Sample, Workload};

/// All measurements.
#[derive(Debug, Serialize)]
pub struct Report {
    machine: Machine,
    seconds_each: u64,
    rounds: u32,
    pub(super) rows: Vec<Row>,
}

/// All rounds of one row.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub name: String,
    what: &'static str,
    limit_is: &'static str,
    goal: String,
    ours: Summary,
    limit: Option<Summary>,
    pub ratio: Option<Summary>,
    p50_ms: Summary,
    p99_ms: Summary,
    failed: f64,
    /// Microseconds per operation, by process.
    cpu_us: BTreeMap<&'static str, f64>,
    /// By service.
    resident_mib: BTreeMap<&'static str, f64>,
    /// What else was measured in the last round.
    note: Option<String>,
    #[serde(skip)]
    samples: Vec<Sample>,
    #[serde(skip)]
    is_time: bool,
}

impl Report {
    pub fn new(options: &Options) -> Self {
        let seconds_each = options.lasting.as_secs();
        Self { machine: Machine::read(), seconds_each, rounds: options.rounds, rows: Vec::new() }
    }

    /// Adds one round of a row.
    pub fn add(&mut self, workload: &Workload, row: &str, sample: Sample) {
        let name = format!("{} {row}", workload.name);
        let name = name.trim_end();
        let index = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            self.rows.push(Row::new(workload, name));
            self.rows.len() - 1
        });
        self.rows[index].add(sample);
    }

    /// Writes `results.json` and the pictures.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("results.json"), serde_json::to_string_pretty(self)?)?;
        chart::ratios(&self.rows, &folder.join("ratios.svg"))
    }
}

impl Row {
    fn new(workload: &Workload, name: &str) -> Self {
        let goal = match workload.goal {
            Goal::Measured => "–".to_owned(),
            Goal::AtLeast(ratio) => format!("≥{ratio}"),
            Goal::MsAtMost(ms) => format!("≤{ms}"),
            Goal::TimeAtMost { times, plus_ms } => format!("≤{times}×+{plus_ms}"),
        };
        Self {
            name: name.to_owned(),
            what: workload.what,
            limit_is: workload.limit,
            goal,
            ours: Summary::default(),
            limit: None,
            ratio: None,
            p50_ms: Summary::default(),
            p99_ms: Summary::default(),
            failed: 0.0,
            cpu_us: BTreeMap::new(),
            resident_mib: BTreeMap::new(),
            note: None,
            samples: Vec::new(),
            is_time: matches!(workload.goal, Goal::TimeAtMost { .. } | Goal::MsAtMost(_)),
        }
    }

    fn add(&mut self, sample: Sample) {
        self.failed += sample.failed;
        self.note.clone_from(&sample.note);
        self.samples.push(sample);
        let samples = &self.samples;
        let of =
            |value: fn(&Sample) -> f64| Summary::of(samples.iter().map(value)).unwrap_or_default();
        self.ours = of(|sample| sample.ours);
        self.p50_ms = of(|sample| sample.p50_ms);
        self.p99_ms = of(|sample| sample.p99_ms);
        self.limit = Summary::of(samples.iter().filter_map(|sample| sample.limit));
        // Ours and the limit of one round belong together.
        self.ratio =
            Summary::of(samples.iter().filter_map(|sample| Some(sample.ours / sample.limit?)));
        let names: BTreeSet<_> =
            samples.iter().flat_map(|sample| &sample.cpu_us).map(|(name, _)| *name).collect();
        let median = |name: &'static str| {
            let values = samples
                .iter()
                .flat_map(|sample| &sample.cpu_us)
                .filter(|(process, _)| *process == name);
            (name, Summary::of(values.map(|(_, us)| *us)).unwrap_or_default().median)
        };
        self.cpu_us = names.into_iter().map(median).collect();
        for (name, bytes) in samples.iter().flat_map(|sample| &sample.resident) {
            let mib = *bytes as f64 / f64::from(1 << 20);
            let largest = self.resident_mib.entry(name).or_default();
            *largest = largest.max(mib);
        }
    }

    /// The CPU of all processes but the load generator, if it was measured.
    fn cpu_of_the_shop(&self) -> Option<f64> {
        let shop = self.cpu_us.iter().filter(|(name, _)| **name != "load");
        (!self.cpu_us.is_empty()).then(|| shop.map(|(_, us)| us).sum())
    }
}

const PROCESSES: [(&str, &str); 9] = [
    ("loms", "loms"),
    ("cart", "cart"),
    ("notifier", "notif."),
    ("shard 0", "shard 0"),
    ("shard 1", "shard 1"),
    ("replica", "replica"),
    ("Kafka", "Kafka"),
    ("Redis", "Redis"),
    ("load", "load"),
];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { cores, processor, memory_gib, system } = &self.machine;
        writeln!(f, "{cores} cores ({processor}), {memory_gib} GiB, {system}")?;
        writeln!(
            f,
            "{} s per load, median of {} rounds; CPU in µs per operation\n",
            self.seconds_each, self.rounds
        )?;
        write!(
            f,
            "{:<29}{:>9}{:>9}{:>7} {:<12}{:>7}{:>8}{:>8}{:>7}",
            "workload", "ours", "limit", "ratio", "(spread)", "goal", "p50 ms", "p99 ms", "CPU"
        )?;
        for (_, title) in PROCESSES {
            write!(f, "{title:>8}")?;
        }
        writeln!(f, "{:>8}{:>9}", "failed", "loms MiB")?;
        for row in &self.rows {
            let digits = if row.is_time { 2 } else { 0 };
            let limit =
                row.limit.map_or_else(String::new, |limit| format!("{:.digits$}", limit.median));
            let (ratio, spread) = row.ratio.map_or_else(Default::default, |ratio| {
                (format!("{:.2}", ratio.median), format!("({:.2}–{:.2})", ratio.min, ratio.max))
            });
            let goal = &row.goal;
            write!(
                f,
                "{:<29}{:>9.digits$}{limit:>9}{ratio:>7} {spread:<12}{goal:>7}{:>8.2}{:>8.2}{:>7}",
                row.name,
                row.ours.median,
                row.p50_ms.median,
                row.p99_ms.median,
                row.cpu_of_the_shop().map_or_else(String::new, |us| format!("{us:.0}")),
            )?;
            for (process, _) in PROCESSES {
                match row.cpu_us.get(process) {
                    Some(us) => write!(f, "{us:>8.1}")?,
                    None => write!(f, "{:>8}", "")?,
                }
            }
            let resident = row.resident_mib.get("loms").copied().unwrap_or_default();
            writeln!(f, "{:>8.0}{resident:>9.0}", row.failed)?;
        }
        writeln!(f)?;
        for row in &self.rows {
            write!(f, "{:<29}{}. Limit: {}.", row.name, row.what, row.limit_is)?;
            match &row.note {
                Some(note) => writeln!(f, " {note}.")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
