//! The binary of the notifier.

use notifier::{Application, EnabledChannel, LogChannel, Settings, migrate};
use service_kit::process;
use service_kit::process::Service;
use service_kit::settings::{Reader, SettingsError};
use shared_actors::watchdog;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(clap::Subcommand, Default)]
enum Command {
    /// Reads events and notifies until SIGTERM or Ctrl-C (the default).
    #[default]
    Serve,
    /// Migrates the database.
    Migrate,
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

    async fn run(command: &Command, settings: &Settings) -> anyhow::Result<u8> {
        match command {
            Command::Serve => {
                watchdog::start(settings.thread_timeout)?;
                let channels = vec![EnabledChannel::of_all_states(LogChannel)];
                Application::build(settings, channels)?.run_until_stopped().await?;
            }
            Command::Migrate => migrate(settings).await.map_err(anyhow::Error::msg)?,
        }
        Ok(0)
    }
}

fn main() {
    process::main::<Notifier>(
        env!("CARGO_PKG_VERSION"),
        option_env!("GIT_REVISION").unwrap_or_default(),
    )
}
