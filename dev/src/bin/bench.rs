//! Measures the shop. Runs within `stack test --on-disk`, as `make bench` starts it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};
use dev::bench::{self, Options, echo};

/// Measures the shop's workloads beside their limits.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Task>,
    /// Which workloads to measure, by the beginnings of their names, separated by commas.
    #[arg(long, env = "ONLY", value_delimiter = ',')]
    only: Vec<String>,
    /// How often to measure each workload.
    #[arg(long, env = "ROUNDS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each load lasts.
    #[arg(long, env = "SECONDS_EACH", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The folder for results.json and the pictures.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Serves constant answers: the limit of reads.
    Echo {
        /// The port of the gRPC server.
        grpc: u16,
        /// The port of the HTTP server.
        http: u16,
        /// The answer of the HTTP server.
        answer: String,
    },
}

fn main() -> Result<()> {
    let Arguments { command, only, rounds, seconds, out } = Arguments::parse();
    if let Some(Task::Echo { grpc, http, answer }) = command {
        return echo::serve(grpc, http, &answer);
    }
    let only = only.into_iter().filter(|name| !name.is_empty()).collect();
    let options = Options { only, rounds, lasting: Duration::from_secs(seconds), out };
    actix_web::rt::System::new().block_on(bench::run(&options))
}
