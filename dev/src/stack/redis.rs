//! Redis, with the configuration file from docker/redis.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::folders::Folders;
use super::process::Process;
use super::program::Program;
use super::tools;

/// Starts Redis on `port` of localhost and waits until it answers.
pub async fn start(port: u16, folders: &Folders) -> Result<Process> {
    start_with(port, &[], folders).await
}

/// Starts Redis with more arguments.
pub async fn start_with(port: u16, more: &[String], folders: &Folders) -> Result<Process> {
    let data = folders.create_data("redis")?;
    let mut process = Program::new("Redis", tools::find("redis-server")?, folders.log("redis"))
        .arg(folders.root().join("docker/redis/redis.conf"))
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "-::1",
            "--daemonize",
            "no",
            "--dir",
        ])
        .arg(data)
        .args(more)
        .port(port)
        .start()?;
    process.until_ready(Duration::from_secs(20), async || ping(port)).await?;
    Ok(process)
}

fn ping(port: u16) -> Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    ensure!(&answer == b"+PONG\r\n", "Redis answered {}", String::from_utf8_lossy(&answer));
    Ok(())
}
