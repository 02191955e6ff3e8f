//! One Swagger UI page for all services, as a program for the local stack.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use dev::stack::folders::project_root;
use dev::swagger_page::serve;

/// Shows the interfaces of all services on one page.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The port to listen on. The page is served on localhost only.
    #[arg(long, env = "HTTP_PORT", default_value_t = 8089)]
    port: u16,
    /// Swagger UI's configuration file. Default: docker/swagger-ui/swagger-config.json.
    #[arg(long, env = "SWAGGER_CONFIG")]
    config: Option<PathBuf>,
}

#[actix_web::main]
async fn main() -> Result<()> {
    let Arguments { port, config } = Arguments::parse();
    let file = match config {
        Some(file) => file,
        None => project_root()?.join("docker/swagger-ui/swagger-config.json"),
    };
    let configuration = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let address = (Ipv4Addr::LOCALHOST, port);
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on port {port}"))?;
    println!("swagger page on http://localhost:{port}");
    dev::http::serve_until_interrupted(serve(listener, configuration)?).await
}
