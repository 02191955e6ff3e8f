//! `loms` serves until it is told to stop; `loms migrate` brings the databases up to date and ends.

use std::process::ExitCode;

use loms::{Application, Settings, migrate};
use shared_actors::settings::Reader;
use shared_actors::telemetry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match actix::System::new().block_on(run(std::env::args().nth(1).as_deref())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loms: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Option<&str>) -> anyhow::Result<()> {
    let settings = Settings::read(Reader::from_env())?;
    let telemetry = telemetry::init("loms")?;
    let outcome = match command {
        None => serve(&settings).await,
        Some("migrate") => migrate(&settings).await.map_err(anyhow::Error::msg),
        Some(other) => Err(anyhow::anyhow!("unknown command {other:?}: expected none, or migrate")),
    };
    telemetry.shutdown().await;
    outcome
}

async fn serve(settings: &Settings) -> anyhow::Result<()> {
    Ok(Application::build(settings).await?.run_until_stopped().await?)
}
