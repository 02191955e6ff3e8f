//! The binary of the notifier.

use notifier::dlq::{self, DlqCommand};
use notifier::{Application, Settings, migrate, verify};
use service_kit::http::HttpServerSettings;
use service_kit::process;
use service_kit::process::Service;
use service_kit::settings::{Reader, SettingsError};
use service_kit::telemetry::LinesTo;
use shared_actors::watchdog;

/// Exit status if an invariant is violated.
const VIOLATED: u8 = 1;
/// Exit status if the check or the command itself failed.
const UNKNOWN: u8 = 2;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(clap::Subcommand, Default)]
enum Command {
    /// Reads events and notifies until SIGTERM or Ctrl-C (the default).
    #[default]
    Serve,
    /// Migrates the database.
    Migrate,
    /// Shows dead letters, replays them, or drops them. Exits with 0 if everything succeeded, with
    /// 1 if some letters could not be replayed, with 2 if the command failed.
    #[command(subcommand)]
    Dlq(DlqCommand),
    /// Checks what was received and sent against the history of orders in the databases of loms.
    /// Exits with 0 if all invariants hold, with 1 if one is violated, with 2 if a database or Kafka
    /// cannot be read.
    Verify,
}

struct Notifier;

impl Service for Notifier {
    const NAME: &'static str = "notifier";
    const ABOUT: &'static str = "Reads order events from Kafka and sends notifications.";
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
                let channels = settings.channels.channels()?;
                Application::build(settings, channels)?.run_until_stopped().await?;
            }
            Command::Migrate => migrate(settings).await.map_err(anyhow::Error::msg)?,
            Command::Dlq(command) => return Ok(dlq::run(command, settings).await?),
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
            Command::Dlq(_) | Command::Verify => LinesTo::Stderr,
            Command::Serve | Command::Migrate => LinesTo::Stdout,
        }
    }

    fn failure(command: &Command) -> u8 {
        match command {
            Command::Dlq(_) | Command::Verify => UNKNOWN,
            Command::Serve | Command::Migrate => 1,
        }
    }
}

fn main() {
    process::main::<Notifier>(
        env!("CARGO_PKG_VERSION"),
        option_env!("GIT_REVISION").unwrap_or_default(),
    )
}
