//! `cart` serves until it is told to stop; `cart migrate` brings the databases up to date and ends.

use anyhow::{Context, bail};
use cart::{Application, Settings, migrate};
use shared_actors::{metrics, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let command = std::env::args().nth(1);
    let settings = Settings::from_env()?;
    actix::System::new().block_on(async {
        let telemetry = telemetry::init("cart")?;
        metrics::set_build_info(
            "cart",
            env!("CARGO_PKG_VERSION"),
            option_env!("GIT_REVISION").unwrap_or_default(),
        );
        let result = match command.as_deref() {
            None => {
                Application::build(&settings)
                    .context("the cart service cannot start")?
                    .run_until_stopped()
                    .await
            }
            Some("migrate") => migrate(&settings).await,
            Some(other) => bail!("unknown command {other:?}: expected none, or migrate"),
        };
        telemetry.shutdown().await;
        Ok(result?)
    })
}
