//! The common part of a service's binary: arguments, settings, telemetry, exit status.

use std::process::exit;

use anyhow::Context;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use nix::sys::prctl::set_dumpable;

use super::drop_foreign_variables;
use crate::http::{HttpServerSettings, check_ready};
use crate::metrics::set_build_info;
use crate::settings::{Reader, SettingsError, listing};
use crate::telemetry::{self, LinesTo};

/// A service's binary.
pub trait Service {
    /// The service's name, also in logs and traces.
    const NAME: &'static str;
    /// What the service does, in one line.
    const ABOUT: &'static str;
    /// The subcommands. The default one serves.
    type Command: Subcommand + Default;
    /// The service's settings.
    type Settings;

    /// Reads the settings.
    ///
    /// # Errors
    /// Lists every wrong setting.
    fn settings(reader: Reader) -> Result<Self::Settings, SettingsError>;

    /// Where the service answers `/readyz`.
    fn http(settings: &Self::Settings) -> &HttpServerSettings;

    /// Runs a command until it ends, and returns the exit status.
    fn run(
        command: &Self::Command,
        settings: &Self::Settings,
    ) -> impl Future<Output = anyhow::Result<u8>>;

    /// Where the log lines of `command` go.
    fn lines_to(_command: &Self::Command) -> LinesTo {
        LinesTo::Stdout
    }

    /// The exit status if `command` fails.
    fn failure(_command: &Self::Command) -> u8 {
        1
    }
}

#[derive(Parser)]
struct Arguments<C: Subcommand> {
    #[command(flatten)]
    checks: Checks,
    #[command(subcommand)]
    command: Option<C>,
}

#[derive(Args)]
struct Checks {
    /// Reads the settings, prints them without secrets, and exits: with 0 if all are right, with 1
    /// otherwise.
    #[arg(long)]
    check_settings: bool,
    /// Asks the running service whether it is ready, and exits: with 0 if it is, with 1 otherwise.
    #[arg(long, conflicts_with = "check_settings")]
    check_ready: bool,
}

/// Runs the service until its command ends, and exits with the command's status. Wrong arguments
/// exit with status 2, other failures with [`Service::failure`]. `revision` is the commit, or
/// empty.
pub fn main<S: Service>(version: &'static str, revision: &str) -> ! {
    #[cfg(debug_assertions)]
    shared_actors::crash::arm();
    if let Err(error) = drop_foreign_variables() {
        fail::<S>(
            &format!(
                "cannot restart without the environment variables of PostgreSQL's tools and proxies: {error}"
            ),
            1,
        );
    }
    // This cannot fail: no other provider is installed yet.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let parser = Arguments::<S::Command>::command().name(S::NAME).about(S::ABOUT).version(version);
    let matches = parser.get_matches();
    let Arguments { checks, command } =
        Arguments::<S::Command>::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let command = command.unwrap_or_default();
    set_build_info(S::NAME, version, revision);
    let system = actix::System::new();
    let status = match system.block_on(run::<S>(&command, &checks)) {
        Ok(status) => status,
        Err(error) => fail::<S>(&format!("{error:#}"), S::failure(&command)),
    };
    // Dropping the system would wait for threads that are blocked by Kafka or a name server.
    exit(status.into())
}

async fn run<S: Service>(command: &S::Command, checks: &Checks) -> anyhow::Result<u8> {
    let mut reader = Reader::from_env();
    let may_dump = reader.flag("CORE_DUMPS", false);
    let settings = S::settings(reader)?;
    if !may_dump {
        // It also keeps other processes of the same user from reading the memory.
        set_dumpable(false).context("cannot forbid core dumps")?;
    }
    if checks.check_ready {
        check_ready(S::http(&settings)).await?;
        return Ok(0);
    }
    if checks.check_settings {
        for line in listing() {
            println!("{line}");
        }
        return Ok(0);
    }
    let telemetry = telemetry::init(S::NAME, S::lines_to(command))?;
    let outcome = S::run(command, &settings).await;
    telemetry.shutdown().await;
    outcome
}

fn fail<S: Service>(reason: &str, status: u8) -> ! {
    eprintln!("{}: {reason}", S::NAME);
    exit(status.into())
}
