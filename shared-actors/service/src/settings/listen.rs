//! Addresses to listen on, and addresses to connect to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// Where a server listens. `:50051` and `8082` mean every interface, IPv4 and IPv6. Port 0 means
/// any free port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// Every address of the machine, on this port.
    EveryInterface(u16),
    /// Only this address.
    One(SocketAddr),
}

/// Not an address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address like :50051, 8082, 127.0.0.1:8082 or localhost:8082")]
pub struct ListenAddressError;

impl ListenAddress {
    /// Loopback only, on a free port.
    pub const fn loopback() -> Self {
        Self::loopback_port(0)
    }

    /// Loopback only, on `port`.
    pub const fn loopback_port(port: u16) -> Self {
        Self::One(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }

    /// Where a client on the same machine connects to.
    pub const fn on_this_machine(&self) -> SocketAddr {
        match *self {
            Self::EveryInterface(port) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
            Self::One(address) => match address.ip() {
                IpAddr::V4(Ipv4Addr::UNSPECIFIED) => {
                    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
                }
                IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), address.port())
                }
                _ => address,
            },
        }
    }

    /// Whether other machines cannot reach it.
    pub const fn is_loopback(&self) -> bool {
        match self {
            Self::EveryInterface(_) => false,
            Self::One(address) => address.ip().is_loopback(),
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self::One(address)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EveryInterface(port) => write!(f, ":{port}"),
            Self::One(address) => address.fmt(f),
        }
    }
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(port) = text.strip_prefix(':').unwrap_or(text).parse() {
            return Ok(Self::EveryInterface(port));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::One(address));
        }
        // A host name is resolved once, here, so that a wrong name is reported as a wrong setting
        // at the start.
        let (host, port) = text.rsplit_once(':').ok_or(ListenAddressError)?;
        let port: u16 = port.parse().map_err(|_| ListenAddressError)?;
        let mut addresses: Vec<SocketAddr> =
            (host, port).to_socket_addrs().map_err(|_| ListenAddressError)?.collect();
        addresses.sort_by_key(SocketAddr::is_ipv6);
        addresses.first().copied().map(Self::One).ok_or(ListenAddressError)
    }
}

/// A host name or address, and a port. The name is resolved at each connection, not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an address; an IPv6 address has no brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl HostPort {
    /// Parses `host:port` or `[v6]:port`. A text without a port gets `default_port`.
    ///
    /// # Errors
    /// The text of what was expected.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, String> {
        let wrong = || "host:port".to_owned();
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?)
            }
            Some(_) if !text.starts_with('[') => return Err(wrong()),
            _ => (text, default_port),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err(wrong());
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{open}{}{close}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listen_address_without_a_host_means_every_interface() {
        for (text, expected) in [
            (":50051", ":50051"),
            ("8082", ":8082"),
            ("0.0.0.0:8082", "0.0.0.0:8082"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::]:80", "[::]:80"),
            ("[::1]:80", "[::1]:80"),
            ("localhost:8081", "127.0.0.1:8081"),
        ] {
            assert_eq!(
                text.parse::<ListenAddress>().map(|address| address.to_string()),
                Ok(expected.to_owned())
            );
        }
        for wrong in
            ["", ":", "65536", "host", "127.0.0.1", "127.0.0.1:x", ":-1", "http://localhost:80"]
        {
            assert!(wrong.parse::<ListenAddress>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_client_on_the_same_machine_reaches_every_address() {
        for (text, reached) in [
            (":80", "127.0.0.1:80"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("127.0.0.2:80", "127.0.0.2:80"),
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.on_this_machine().to_string(), reached, "{text}");
        }
    }

    #[test]
    fn a_host_and_port_may_leave_the_port_out() {
        for (text, host, port) in [
            ("db:5433", "db", 5433),
            ("db", "db", 5432),
            ("[::1]:5434", "::1", 5434),
            ("[::1]", "::1", 5432),
        ] {
            let parsed = HostPort::parse(text, 5432);
            assert_eq!(parsed, Ok(HostPort { host: host.to_owned(), port }), "{text}");
        }
        for wrong in ["", ":5432", "db:", "db:0", "db:70000", "::1:5432", "a b:1", "postgres://db"]
        {
            assert!(HostPort::parse(wrong, 5432).is_err(), "{wrong:?}");
        }
    }
}
