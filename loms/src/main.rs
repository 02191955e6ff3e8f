//! The binary of loms.

use loms::{Application, Settings, migrate, verify};
use service_kit::http::HttpServerSettings;
use service_kit::process;
use service_kit::process::Service;
use service_kit::settings::{Reader, SettingsError};
use service_kit::telemetry::LinesTo;
use shared_actors::watchdog;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exit status of `loms verify` if an invariant is violated, and if the databases cannot be read.
const VIOLATED: u8 = 1;
const UNKNOWN: u8 = 2;

#[derive(clap::Subcommand, Default)]
enum Command {
    /// Serves until SIGTERM or Ctrl-C (the default).
    #[default]
    Serve,
    /// Migrates the databases.
    Migrate,
    /// Checks the invariants of orders and stock. Exits with 0 if all hold, with 1 if one is
    /// violated, with 2 if a database cannot be read.
    Verify,
}

struct Loms;

impl Service for Loms {
    const NAME: &'static str = "loms";
    const ABOUT: &'static str = "Keeps orders and stock. Serves gRPC and REST.";
    type Command = Command;
    type Settings = Settings;

    fn settings(reader: Reader) -> Result<Settings, SettingsError> {
        Settings::read(reader)
    }

    fn http(settings: &Settings) -> &HttpServerSettings {
        &settings.http
    }

    async fn run(command: &Command, settings: &Settings) -> anyhow::Result<u8> {
        match command {
            Command::Serve => {
                watchdog::start(settings.thread_timeout)?;
                Application::build(settings).await?.run_until_stopped().await?;
            }
            Command::Migrate => migrate(settings).await.map_err(anyhow::Error::msg)?,
            Command::Verify => {
                let report = verify::verify(settings).await?;
                println!("{report}");
                return Ok(if report.holds() { 0 } else { VIOLATED });
            }
        }
        Ok(0)
    }

    fn lines_to(command: &Command) -> LinesTo {
        match command {
            Command::Verify => LinesTo::Stderr,
            Command::Serve | Command::Migrate => LinesTo::Stdout,
        }
    }

    fn failure(command: &Command) -> u8 {
        match command {
            Command::Verify => UNKNOWN,
            Command::Serve | Command::Migrate => 1,
        }
    }
}

fn main() {
    process::main::<Loms>(
        env!("CARGO_PKG_VERSION"),
        option_env!("GIT_REVISION").unwrap_or_default(),
    )
}
