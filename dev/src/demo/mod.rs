//! The demo: starts the shop, plays one purchase through plain HTTP, and prints all addresses.

mod calls;
mod notification;
mod purchase;
pub mod throughput;

use std::time::Instant;

use anyhow::Result;

use crate::stack::folders::Folders;
use crate::stack::report::{headline, seconds};
use crate::stack::shop::Shop;
use crate::stack::signals::Interruption;

/// What happens after the purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// The shop stays open until a signal arrives.
    Stay,
    /// The shop closes.
    Leave,
}

/// Starts the shop on its default ports with the data of earlier runs, plays a purchase, and then
/// does what [`Afterwards`] says. When this returns, every process has stopped and only the data
/// remain.
pub async fn run(afterwards: Afterwards, interruption: &mut Interruption) -> Result<u8> {
    let folders = Folders::of_the_project()?;
    let started = Instant::now();
    headline("Starting the shop");
    let mut shop = tokio::select! {
        shop = Box::pin(Shop::start(&folders)) => shop?,
        signal = interruption.next() => return Ok(interrupted(signal)),
    };
    println!("  ready after {}", seconds(started.elapsed()));

    let notifier_log = shop.notifier_log();
    let played = tokio::select! {
        played = Box::pin(play(&notifier_log)) => played,
        ended = shop.until_something_ends() => return Err(ended),
        signal = interruption.next() => {
            shop.stop();
            return Ok(interrupted(signal));
        }
    };
    if afterwards == Afterwards::Leave {
        shop.stop();
        return played.map(|()| {
            println!("\nAll stopped; the data stay in {}.", folders.base().display());
            0
        });
    }
    if let Err(error) = played {
        eprintln!("\nThe purchase did not go as it should: {error:#}");
    }
    print_addresses(&folders);
    tokio::select! {
        ended = shop.until_something_ends() => return Err(ended),
        _ = interruption.next() => {}
    }
    println!("\nStopping");
    shop.stop();
    println!("All stopped; the data stay in {}.", folders.base().display());
    Ok(0)
}

async fn play(notifier_log: &std::path::Path) -> Result<()> {
    purchase::play(notifier_log).await?;
    throughput::show().await
}

fn interrupted(signal: i32) -> u8 {
    println!("\nInterrupted; all stopped.");
    u8::try_from(128 + signal).unwrap_or(1)
}

fn print_addresses(folders: &Folders) {
    headline("The shop is open");
    let logs = folders.base().join("logs").display().to_string();
    let addresses = [
        ("Swagger UI of all services", "http://localhost:8089"),
        ("cart, REST", "http://localhost:8082"),
        ("loms, REST", "http://localhost:8081"),
        ("loms, gRPC", "localhost:50051"),
        ("notifier", "http://localhost:8083/metrics"),
        ("product service (stand-in)", "http://localhost:8090"),
        ("Prometheus", "http://localhost:9090"),
        ("  rules and alerts", throughput::ALERTS),
        ("  message throughput", throughput::PAGE),
        ("PostgreSQL shard 0, replica, 1", "localhost:5432, 5433, 5434 (user and password postgres)"),
        ("Redis", "localhost:6379"),
        ("Kafka", "localhost:9092"),
        ("logs", logs.as_str()),
    ];
    for (what, address) in addresses {
        println!("  {what:<31} {address}");
    }
    println!("\nCtrl-C stops everything.");
}
