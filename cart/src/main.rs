//! `cart` serves until it is told to stop; `cart migrate` brings the databases up to date and ends.

use std::process::exit;

use anyhow::{Context, bail};
use cart::{Application, Settings, migrate};
use shared_actors::{metrics, process, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    if let Err(error) = process::drop_postgres_variables() {
        eprintln!("Error: cart cannot start again without the variables of PostgreSQL's tools: {error}");
        exit(1);
    }
    let command = std::env::args().nth(1);
    let system = actix::System::new();
    let outcome = system.block_on(run(command.as_deref()));
    if let Err(error) = &outcome {
        eprintln!("cart: {error:#}");
    }
    // Dropping the system would wait for threads that a name server keeps waiting.
    exit(i32::from(outcome.is_err()))
}

async fn run(command: Option<&str>) -> anyhow::Result<()> {
    let settings = Settings::from_env()?;
    let telemetry = telemetry::init("cart")?;
    metrics::set_build_info(
        "cart",
        env!("CARGO_PKG_VERSION"),
        option_env!("GIT_REVISION").unwrap_or_default(),
    );
    let result = match command {
        None => {
            Application::build(&settings).context("the cart service cannot start")?.run_until_stopped().await
        }
        Some("migrate") => migrate(&settings).await,
        Some(other) => bail!("unknown command {other:?}: expected none, or migrate"),
    };
    telemetry.shutdown().await;
    Ok(result?)
}
