//! `loms` serves until it is told to stop; `loms migrate` brings the databases up to date and ends.

use std::process::exit;

use loms::{Application, Settings, migrate};
use shared_actors::settings::Reader;
use shared_actors::telemetry;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let system = actix::System::new();
    let outcome = system.block_on(run(std::env::args().nth(1).as_deref()));
    if let Err(error) = &outcome {
        eprintln!("loms: {error:#}");
    }
    // Dropping the system would wait for threads that Kafka or a name server keeps waiting.
    exit(i32::from(outcome.is_err()))
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
