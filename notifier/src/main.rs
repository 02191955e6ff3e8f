//! The notifier's process: settings, telemetry, then the application until it is told to stop.

use std::process::exit;

use notifier::{Application, Settings, migrate};
use shared_actors::settings::Reader;
use shared_actors::{process, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    if let Err(error) = process::drop_postgres_variables() {
        eprintln!("notifier: it cannot start again without the variables of PostgreSQL's tools: {error}");
        exit(1);
    }
    #[cfg(debug_assertions)]
    shared_actors::crash::arm();
    let task: Vec<String> = std::env::args().skip(1).collect();
    let system = actix::System::new();
    let outcome = system.block_on(run(&task));
    if let Err(error) = &outcome {
        eprintln!("notifier: {error:#}");
    }
    // Dropping the system would wait for threads that Kafka or a name server keeps waiting.
    exit(i32::from(outcome.is_err()))
}

async fn run(task: &[String]) -> anyhow::Result<()> {
    let migrate_only = match task {
        [] => false,
        [task] if task == "migrate" => true,
        _ => anyhow::bail!("usage: notifier [migrate]"),
    };
    let settings = Settings::read(Reader::from_env())?;
    if migrate_only {
        return migrate(&settings).await.map_err(anyhow::Error::msg);
    }
    let telemetry = telemetry::init("notifier")?;
    let outcome = match Application::build(&settings) {
        Ok(application) => application.run_until_stopped().await.map_err(anyhow::Error::from),
        Err(error) => Err(error.into()),
    };
    telemetry.shutdown().await;
    outcome
}
