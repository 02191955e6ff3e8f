//! `loms` serves until it is told to stop; `loms migrate` brings the databases up to date and ends; `loms verify` checks
//! them and ends.

use std::process::exit;

use loms::{Application, Settings, migrate, verify};
use shared_actors::settings::Reader;
use shared_actors::{process, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What `loms verify` exits with when an invariant is violated, and when it cannot tell.
const VIOLATED: i32 = 1;
const UNKNOWN: i32 = 2;

fn main() {
    #[cfg(debug_assertions)]
    shared_actors::crash::arm();
    if let Err(error) = process::drop_postgres_variables() {
        eprintln!("loms: it cannot start again without the variables of PostgreSQL's tools: {error}");
        exit(1);
    }
    let system = actix::System::new();
    let command = std::env::args().nth(1);
    let status = system.block_on(run(command.as_deref())).unwrap_or_else(|error| {
        eprintln!("loms: {error:#}");
        if command.as_deref() == Some("verify") { UNKNOWN } else { 1 }
    });
    // Dropping the system would wait for threads that Kafka or a name server keeps waiting.
    exit(status)
}

/// Answers the exit status.
async fn run(command: Option<&str>) -> anyhow::Result<i32> {
    let settings = Settings::read(Reader::from_env())?;
    let telemetry = telemetry::init("loms")?;
    let outcome = match command {
        None => serve(&settings).await.map(|()| 0),
        Some("migrate") => migrate(&settings).await.map(|()| 0).map_err(anyhow::Error::msg),
        Some("verify") => check(&settings).await,
        Some(other) => Err(anyhow::anyhow!("unknown command {other:?}: expected none, migrate or verify")),
    };
    telemetry.shutdown().await;
    outcome
}

async fn check(settings: &Settings) -> anyhow::Result<i32> {
    let report = verify::verify(settings).await?;
    println!("{report}");
    Ok(if report.holds() { 0 } else { VIOLATED })
}

async fn serve(settings: &Settings) -> anyhow::Result<()> {
    Ok(Application::build(settings).await?.run_until_stopped().await?)
}
