//! Measures the shop's workloads, and beside each the limit of the same machine in the same run.
//!
//! Each workload starts its own services on empty databases, puts load on them, stops them, and
//! measures its limit. All workloads run in turn, in several rounds, so that other activity on the
//! machine affects all of them equally. The ratios to the limits are comparable between runs; the
//! absolute numbers are not.
#![allow(clippy::cast_precision_loss, reason = "no count comes near 2^52")]

mod chart;
mod cpu;
mod generators;
mod machine;
mod report;
mod shop;
mod summary;
mod workloads;

pub mod echo;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::testing::Servers;
use report::Report;
use workloads::{WORKLOADS, Workload};

/// What to measure, and for how long.
#[derive(Debug)]
pub struct Options {
    /// Names of workloads, or the beginnings of names. All workloads if empty.
    pub only: Vec<String>,
    /// How often each workload is measured.
    pub rounds: u32,
    /// How long each load lasts.
    pub lasting: Duration,
    /// The folder for the pictures and the JSON file.
    pub out: PathBuf,
}

/// Measures the selected workloads, prints the table, and writes `results.json` and the pictures.
///
/// # Errors
/// If a server or a load generator fails, or no workload has a selected name.
pub async fn run(options: &Options) -> Result<()> {
    let selected: Vec<&Workload> =
        WORKLOADS.iter().filter(|one| is_selected(one, options)).collect();
    let names: Vec<&str> = WORKLOADS.iter().map(|one| one.name).collect();
    ensure!(!selected.is_empty(), "no workload has such a name; there are: {}", names.join(", "));
    let servers = Servers::from_env();
    let mut report = Report::new(options);
    for round in 1..=options.rounds {
        for workload in selected.iter().filter(|workload| round == 1 || !workload.once) {
            eprintln!("round {round} of {}: {}", options.rounds, workload.name);
            for (row, sample) in (workload.run)(&servers, options.lasting).await? {
                report.add(workload, row, sample);
            }
        }
    }
    println!("{report}");
    report.write(&options.out)
}

fn is_selected(workload: &Workload, options: &Options) -> bool {
    options.only.is_empty()
        || options.only.iter().any(|name| workload.name.starts_with(name.as_str()))
}
