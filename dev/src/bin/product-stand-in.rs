//! The product stand-in as a program, for the local stack.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use dev::product_stand_in::{Controls, serve};

/// Serves the product service's interface for a local shop.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The address to listen on. 0.0.0.0 listens on all interfaces.
    #[arg(long, env = "HTTP_HOST", default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port to listen on.
    #[arg(long, env = "HTTP_PORT", default_value_t = 8090)]
    port: u16,
    /// Asks the running stand-in whether it is ready, and exits: with 0 if it is, with 1 otherwise.
    #[arg(long)]
    check_ready: bool,
}

#[actix_web::main]
async fn main() -> Result<()> {
    let Arguments { host, port, check_ready } = Arguments::parse();
    if check_ready {
        let host = if host.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { host };
        let url = format!("http://{}/readyz", SocketAddr::from((host, port)));
        dev::http::client().get(url).send().await?.error_for_status()?;
        return Ok(());
    }
    let address = SocketAddr::from((host, port));
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    println!("product stand-in on http://{address}");
    dev::http::serve_until_interrupted(serve(listener, Arc::new(Controls::default()))?).await
}
