//! Starts the shop's servers natively, either for one test run or with the services and a demo
//! purchase.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use dev::demo::{self, Afterwards};
use dev::stack::folders::Folders;
use dev::stack::ports::free_port;
use dev::stack::shop;
use dev::stack::signals::Interruption;
use dev::stack::test_run;

/// Runs the shop's servers and services natively.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Starts a private set of servers and runs a command that finds their addresses in
    /// `SHOP_TEST_*`.
    Test {
        /// Keeps the data on the disk even if there is room in memory. For measurements.
        #[arg(long)]
        on_disk: bool,
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Starts the whole shop, plays one purchase, and runs until Ctrl-C. Restarts what ends.
    Run,
    /// Starts only the servers and the product stand-in, and runs until Ctrl-C. Use it to start
    /// services by hand.
    Servers,
    /// Starts the whole shop, plays one purchase, and exits.
    Demo,
    /// Deletes the data and logs of the shop that `run` starts. Downloads are kept.
    CleanData,
    /// Prints free ports of this machine on one line, for scripts.
    FreePorts {
        /// How many ports to print.
        count: usize,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().command).await {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(task: Task) -> Result<u8> {
    let mut interruption = Interruption::listen()?;
    match task {
        Task::Test { command, on_disk } => {
            test_run::run(&command, on_disk, &mut interruption).await
        }
        Task::Run => demo::run(Afterwards::Stay, &mut interruption).await,
        Task::Servers => shop::run_servers(&mut interruption).await,
        Task::CleanData => {
            Folders::of_the_project()?.remove_data()?;
            Ok(0)
        }
        Task::FreePorts { count } => {
            let ports = (0..count).map(|_| free_port().map(|port| port.to_string()));
            println!("{}", ports.collect::<Result<Vec<_>>>()?.join(" "));
            Ok(0)
        }
        Task::Demo => demo::run(Afterwards::Leave, &mut interruption).await,
    }
}
