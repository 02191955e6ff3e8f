//! Checks whether a port is free, and finds free ports.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail};

/// The search stays below the kernel's port range for outgoing connections. Otherwise such a
/// connection could take the port before the server starts.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// The port that an environment variable names, or `default`.
pub fn port_from_env(variable: &str, default: u16) -> Result<u16> {
    let Some(text) = std::env::var_os(variable) else { return Ok(default) };
    let port = text.to_str().and_then(|text| text.parse().ok()).filter(|port| *port > 0);
    port.with_context(|| format!("{variable}={}: expected a port from 1 to 65535", text.display()))
}

/// Fails if the port of one of the servers is taken, or the same as that of another one. The message
/// names the environment variable that changes the port. Each server comes with that variable and
/// its port.
pub fn require_all_free(
    servers: impl IntoIterator<Item = (&'static str, &'static str, u16)>,
) -> Result<()> {
    let mut seen = HashSet::new();
    for (server, variable, port) in servers {
        if !seen.insert(port) {
            bail!(
                "port {port} is set for two parts of the shop, {server} is one: change {variable}"
            );
        }
        if !is_free(port) {
            bail!(
                "Nothing was started, because port {port} of {server} is taken by another process \
                 (`ss -ltnp sport = :{port}` shows which). To use another port, set {variable}, as in \
                 `make run {variable}={}`.",
                free_port()?
            )
        }
    }
    Ok(())
}

/// A port that was free a moment ago. This process never gets the same port twice.
pub fn free_port() -> Result<u16> {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let given = given.get_or_insert_with(HashSet::new);
    let seed = uuid::Uuid::new_v4().as_u128() % u128::from(COUNT);
    let seed = u16::try_from(seed)?;
    for step in 0..COUNT {
        let port = FIRST + (seed + step) % COUNT;
        if !given.contains(&port) && is_free(port) {
            given.insert(port);
            return Ok(port);
        }
    }
    bail!("no free port between {FIRST} and {}", FIRST + COUNT)
}

fn is_free(port: u16) -> bool {
    let on_ipv4 = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let on_ipv6 = TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    on_ipv4.is_ok() && !on_ipv6.is_err_and(|error| error.kind() == ErrorKind::AddrInUse)
}

/// Where a service listens that other machines cannot reach.
pub fn on_loopback(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
