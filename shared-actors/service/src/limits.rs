//! What one client may take: requests per second, by its address and by its user, and connections.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use prometheus::IntCounterVec;
use shared_actors::metrics;

use crate::error::{ErrorCode, ServiceError};
use crate::settings::Reader;

/// Clients that have been idle are forgotten after this many checks.
const FORGET_EVERY: u32 = 4096;

static REFUSED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let help =
        "Requests and connections refused by a limit per client: address, user, connections.";
    metrics::counters_by("client_limits_total", help, "limit", &["address", "user", "connections"])
});

/// The limits per client of one port. `None` means no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientLimits {
    /// Requests per second from one address. A burst may have as many requests at once.
    pub requests_per_address: Option<NonZeroU32>,
    /// Requests per second of one user, by the subject of its token. Likewise.
    pub requests_per_user: Option<NonZeroU32>,
    /// Open connections from one address.
    pub connections_per_address: Option<NonZeroU32>,
}

impl ClientLimits {
    /// Reads `RATE_LIMIT_PER_ADDRESS`, `RATE_LIMIT_PER_USER` and `MAX_CONNECTIONS_PER_ADDRESS`,
    /// whose names begin with `prefix`.
    pub fn read(reader: &mut Reader, prefix: &str) -> Self {
        let mut limit = |name: &str| {
            NonZeroU32::new(reader.get_in(&format!("{prefix}{name}"), 0, 0..=1_000_000))
        };
        Self {
            requests_per_address: limit("RATE_LIMIT_PER_ADDRESS"),
            requests_per_user: limit("RATE_LIMIT_PER_USER"),
            connections_per_address: limit("MAX_CONNECTIONS_PER_ADDRESS"),
        }
    }
}

/// A client has used up its requests.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("too many requests from this {by}")]
pub(crate) struct RateLimited {
    by: &'static str,
    wait: Duration,
}

impl ServiceError for RateLimited {
    fn code(&self) -> ErrorCode {
        ErrorCode::Overloaded
    }

    fn public_message(&self) -> String {
        self.to_string()
    }

    fn retry_after(&self) -> Option<Duration> {
        Some(self.wait)
    }
}

/// Counts the requests of clients. Shared by all workers of a port.
pub(crate) struct RateLimits {
    addresses: Option<Requests<IpAddr>>,
    users: Option<Requests<String>>,
}

impl RateLimits {
    pub(crate) fn new(limits: &ClientLimits) -> Self {
        LazyLock::force(&REFUSED);
        Self {
            addresses: limits.requests_per_address.map(|limit| Requests::new("address", limit)),
            users: limits.requests_per_user.map(|limit| Requests::new("user", limit)),
        }
    }

    /// Counts a request from `address`.
    pub(crate) fn of_address(&self, address: Option<IpAddr>) -> Result<(), RateLimited> {
        match (&self.addresses, address) {
            (Some(requests), Some(address)) => requests.count(&network(address)),
            _ => Ok(()),
        }
    }

    /// Counts a request of the user whose token has this subject.
    pub(crate) fn of_user(&self, subject: Option<&str>) -> Result<(), RateLimited> {
        match (&self.users, subject) {
            (Some(requests), Some(subject)) => requests.count(&subject.to_owned()),
            _ => Ok(()),
        }
    }
}

struct Requests<K: Hash + Eq + Clone> {
    by: &'static str,
    limiter: DefaultKeyedRateLimiter<K>,
    counted: AtomicU32,
}

impl<K: Hash + Eq + Clone> Requests<K> {
    fn new(by: &'static str, per_second: NonZeroU32) -> Self {
        let limiter = RateLimiter::keyed(Quota::per_second(per_second));
        Self { by, limiter, counted: AtomicU32::new(0) }
    }

    fn count(&self, key: &K) -> Result<(), RateLimited> {
        // A client is idle a second after its last request, so what is kept is bounded by the number
        // of requests per second.
        if self.counted.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.limiter.check_key(key).map_err(|until| {
            REFUSED.with_label_values(&[self.by]).inc();
            RateLimited { by: self.by, wait: until.wait_time_from(DefaultClock::default().now()) }
        })
    }
}

/// Counts the connections of clients. Cheap to clone; clones share the counts.
#[derive(Clone)]
pub(crate) struct Connections {
    limit: Option<NonZeroU32>,
    open: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// A connection that counts until this is dropped.
pub(crate) struct Counted {
    address: IpAddr,
    open: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Connections {
    pub(crate) fn new(limits: &ClientLimits) -> Self {
        Self { limit: limits.connections_per_address, open: Arc::default() }
    }

    /// Counts a connection from `address`. `Err` if it has too many. `None` if they are not counted.
    pub(crate) fn open(&self, address: Option<IpAddr>) -> Result<Option<Counted>, TooMany> {
        let (Some(limit), Some(address)) = (self.limit, address) else { return Ok(None) };
        let address = network(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= limit.get() {
            REFUSED.with_label_values(&["connections"]).inc();
            return Err(TooMany);
        }
        *count += 1;
        Ok(Some(Counted { address, open: Arc::clone(&self.open) }))
    }
}

/// The address has as many connections as it may have.
pub(crate) struct TooMany;

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// The addresses that count as one client. An IPv6 client usually has a whole network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(requests: u32, connections: u32) -> ClientLimits {
        ClientLimits {
            requests_per_address: NonZeroU32::new(requests),
            requests_per_user: NonZeroU32::new(requests),
            connections_per_address: NonZeroU32::new(connections),
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_and_each_user_has_its_own_requests() {
        let limits = RateLimits::new(&limits(2, 0));
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
            assert_eq!(limits.of_address(Some(ip(address))), Ok(()), "{address}");
            assert_eq!(limits.of_address(Some(ip(address))), Ok(()), "{address}");
            let refused = limits.of_address(Some(ip(address))).unwrap_err();
            assert!(refused.retry_after().unwrap() <= Duration::from_secs(1), "{refused:?}");
        }
        for same in ["2001:db8::2", "::ffff:192.0.2.1"] {
            assert!(limits.of_address(Some(ip(same))).is_err(), "{same}");
        }
        assert_eq!(limits.of_address(Some(ip("2001:db8:0:1::1"))), Ok(()));
        assert_eq!(limits.of_address(None), Ok(()));
        let asked = ["7", "7", "7", "8"].map(|user| limits.of_user(Some(user)).is_ok());
        assert_eq!(asked, [true, true, false, true]);
    }

    #[test]
    fn clients_that_are_idle_are_forgotten() {
        let requests = Requests::new("address", NonZeroU32::new(1_000_000).unwrap());
        for client in 0..10 * FORGET_EVERY {
            requests.count(&client).unwrap();
        }
        assert!(requests.limiter.len() <= 2 * FORGET_EVERY as usize, "{}", requests.limiter.len());
    }

    #[test]
    fn a_closed_connection_makes_room_for_another_one() {
        let connections = Connections::new(&limits(0, 2));
        let first = connections.open(Some(ip("192.0.2.1")));
        let second = connections.open(Some(ip("192.0.2.1")));
        assert!(
            first.is_ok() && second.is_ok() && connections.open(Some(ip("192.0.2.1"))).is_err()
        );
        assert!(connections.open(Some(ip("192.0.2.2"))).is_ok());
        drop(first);
        assert!(connections.open(Some(ip("192.0.2.1"))).is_ok());
        drop(second);
        assert!(connections.open.lock().unwrap().is_empty(), "nothing is kept about the past");
        assert!(
            Connections::new(&limits(0, 0)).open(Some(ip("192.0.2.1"))).unwrap_or(None).is_none()
        );
    }
}
