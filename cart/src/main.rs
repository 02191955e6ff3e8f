//! The binary of cart.

use anyhow::Context;
use cart::{Application, Settings, migrate};
use service_kit::process;
use service_kit::process::Service;
use service_kit::settings::{Reader, SettingsError};
use shared_actors::watchdog;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(clap::Subcommand, Default)]
enum Command {
    /// Serves until SIGTERM or Ctrl-C (the default).
    #[default]
    Serve,
    /// Migrates the databases.
    Migrate,
}

struct Cart;

impl Service for Cart {
    const NAME: &'static str = "cart";
    const ABOUT: &'static str = "Keeps shopping carts and checks them out. Serves REST.";
    type Command = Command;
    type Settings = Settings;

    fn settings(reader: Reader) -> Result<Settings, SettingsError> {
        Settings::read(reader)
    }

    async fn run(command: &Command, settings: &Settings) -> anyhow::Result<u8> {
        match command {
            Command::Serve => {
                watchdog::start(settings.thread_timeout)?;
                let application =
                    Application::build(settings).context("the cart service cannot start")?;
                application.run_until_stopped().await?;
            }
            Command::Migrate => migrate(settings).await?,
        }
        Ok(0)
    }
}

fn main() {
    process::main::<Cart>(
        env!("CARGO_PKG_VERSION"),
        option_env!("GIT_REVISION").unwrap_or_default(),
    )
}
