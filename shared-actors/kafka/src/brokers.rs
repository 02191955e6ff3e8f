//! Where the brokers are, and how clients connect to them.

use std::fmt;

use rdkafka::ClientConfig;

/// The brokers of a cluster. A text (`host:port`, comma-separated) is enough if they need neither
/// TLS nor a login.
#[derive(Clone, PartialEq, Eq)]
pub struct Brokers {
    addresses: String,
    properties: Vec<(String, String)>,
}

impl Brokers {
    /// Brokers at `addresses` (`host:port`, comma-separated).
    pub fn new(addresses: impl Into<String>) -> Self {
        Self { addresses: addresses.into(), properties: Vec::new() }
    }

    /// Sets properties of librdkafka for all clients, such as `security.protocol`.
    #[must_use]
    pub fn with<'a>(mut self, properties: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        self.properties.extend(properties.into_iter().map(owned));
        self
    }

    pub(crate) fn configure(&self, config: &mut ClientConfig) {
        config.set("bootstrap.servers", &self.addresses);
        for (name, value) in &self.properties {
            config.set(name, value);
        }
    }
}

/// Without the values of properties, which may be passwords.
impl fmt::Debug for Brokers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.properties.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Brokers")
            .field("addresses", &self.addresses)
            .field("properties", &names)
            .finish()
    }
}

impl From<&str> for Brokers {
    fn from(addresses: &str) -> Self {
        Self::new(addresses)
    }
}

impl From<String> for Brokers {
    fn from(addresses: String) -> Self {
        Self::new(addresses)
    }
}

impl From<&String> for Brokers {
    fn from(addresses: &String) -> Self {
        Self::new(addresses)
    }
}
