//! The demo: starts the shop, plays one purchase through plain HTTP, and prints all addresses.

mod calls;
mod notification;
mod purchase;
pub mod throughput;

use std::time::Instant;

use anyhow::Result;

use crate::stack::folders::Folders;
use crate::stack::report::{headline, seconds};
use crate::stack::shop::{Shop, ShopPorts};
use crate::stack::signals::Interruption;

/// What happens after the purchase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// The shop stays open until a signal arrives.
    Stay,
    /// The shop closes.
    Leave,
}

/// Starts the shop with the data of earlier runs, plays a purchase, and then does what [`Afterwards`]
/// says. When this returns, every process has stopped and only the data
/// remain.
pub async fn run(afterwards: Afterwards, interruption: &mut Interruption) -> Result<u8> {
    let folders = Folders::of_the_project()?;
    let ports = ShopPorts::from_env()?;
    let started = Instant::now();
    headline("Starting the shop");
    let mut shop = tokio::select! {
        shop = Box::pin(Shop::start(&ports, &folders)) => shop?,
        signal = interruption.next() => return Ok(interrupted(signal)),
    };
    println!("  ready after {}", seconds(started.elapsed()));

    let notifier_log = shop.notifier_log();
    let played = tokio::select! {
        played = Box::pin(play(&ports, &notifier_log)) => played,
        ended = shop.keep_running() => return Err(ended),
        signal = interruption.next() => {
            shop.stop();
            return Ok(interrupted(signal));
        }
    };
    if afterwards == Afterwards::Leave {
        shop.stop();
        return played.map(|()| {
            println!(
                "\nEverything has stopped. The data are kept in {}.",
                folders.base().display()
            );
            0
        });
    }
    if let Err(error) = played {
        eprintln!("\nThe purchase failed: {error:#}");
    }
    print_addresses(&ports, &folders);
    tokio::select! {
        ended = shop.keep_running() => return Err(ended),
        _ = interruption.next() => {}
    }
    println!("\nStopping");
    shop.stop();
    println!("Everything has stopped. The data are kept in {}.", folders.base().display());
    Ok(0)
}

async fn play(ports: &ShopPorts, notifier_log: &std::path::Path) -> Result<()> {
    purchase::play(ports, notifier_log).await?;
    throughput::show(ports).await
}

fn interrupted(signal: i32) -> u8 {
    println!("\nInterrupted. Everything has stopped.");
    u8::try_from(128 + signal).unwrap_or(1)
}

fn print_addresses(ports: &ShopPorts, folders: &Folders) {
    headline("The shop is open");
    let http = |port: u16| format!("http://localhost:{port}");
    let prometheus = http(ports.prometheus);
    let servers = ports.servers;
    let postgres = [servers.postgres_0, servers.postgres_replica_0, servers.postgres_1];
    let [primary_0, replica_0, primary_1] = postgres;
    let addresses = [
        ("Swagger UI of all services", http(ports.swagger)),
        ("cart, REST", http(ports.cart)),
        ("loms, REST", http(ports.loms)),
        ("loms, gRPC", format!("localhost:{}", ports.loms_grpc)),
        ("notifier", format!("{}/metrics", http(ports.notifier))),
        ("product service (stand-in)", http(ports.products)),
        ("Prometheus", prometheus.clone()),
        ("  rules and alerts", format!("{prometheus}{}", throughput::ALERTS)),
        ("  message throughput", format!("{prometheus}{}", throughput::PAGE)),
        (
            "PostgreSQL shard 0, replica, 1",
            format!("localhost:{primary_0}, {replica_0}, {primary_1} (user and password postgres)"),
        ),
        ("Redis", format!("localhost:{}", servers.redis)),
        ("Kafka", format!("localhost:{}", servers.kafka)),
        ("logs", folders.base().join("logs").display().to_string()),
    ];
    for (what, address) in addresses {
        println!("  {what:<31} {address}");
    }
    println!("\nKill any process: it is restarted, and nothing is lost. Ctrl-C stops everything.");
}
