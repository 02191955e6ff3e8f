//! `loms` serves until it is told to stop; `loms migrate` brings the databases up to date and ends.

use anyhow::{Context, bail};
use loms::{Application, Settings, migrate};
use shared_actors::settings::Reader;
use shared_actors::telemetry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let command = std::env::args().nth(1);
    let settings = Settings::read(Reader::from_env())?;
    actix::System::new().block_on(async {
        let telemetry = telemetry::init("loms")?;
        let outcome = match command.as_deref() {
            None => serve(&settings).await,
            Some("migrate") => migrate(&settings).await.map_err(anyhow::Error::msg),
            Some(other) => bail!("unknown command {other:?}: expected none, or migrate"),
        };
        telemetry.shutdown().await;
        outcome
    })
}

async fn serve(settings: &Settings) -> anyhow::Result<()> {
    let application = Application::build(settings).await.context("loms cannot start")?;
    Ok(application.run_until_stopped().await?)
}
