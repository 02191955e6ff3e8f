//! What producer and consumer share as clients of librdkafka: settings, logging, and whether a
//! broker is connected.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use shared_actors::health::Component;
use tracing::{debug, error, info, warn};

use super::brokers::Brokers;
use super::statistics::Statistics;

/// How long a broker may take to answer a request.
pub(super) const SOCKET_TIMEOUT: Duration = Duration::from_secs(10);

/// The librdkafka settings that all clients share.
pub(super) fn config(brokers: &Brokers, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    brokers.configure(&mut config);
    config
        .set("client.id", client_id)
        // Detects a broker that accepts connections but never answers.
        .set("socket.timeout.ms", SOCKET_TIMEOUT.as_millis().to_string())
        // The kernel or the next request detects connections that a firewall dropped while they
        // were idle.
        .set("socket.keepalive.enable", "true")
        .set("socket.connection.setup.timeout.ms", "5000")
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "2000")
        // Notices soon that a topic was created or has moved.
        .set("topic.metadata.refresh.interval.ms", "10000")
        // Feeds readiness.
        .set("statistics.interval.ms", "1000");
    config
}

/// Sends librdkafka's log to `tracing` and reports to a [`Component`] whether a broker is
/// connected.
#[derive(Clone)]
pub(super) struct ClientReport {
    component: Option<Component>,
}

impl ClientReport {
    pub fn new(component: Option<Component>) -> Self {
        Self { component }
    }

    pub fn ready(&self) {
        if let Some(component) = &self.component {
            component.ready();
        }
    }

    pub fn waiting(&self, reason: &str) {
        if let Some(component) = &self.component {
            component.waiting(reason);
        }
    }

    /// Logs a line of librdkafka. Lines about connections are logged at debug level: librdkafka
    /// repeats them at each attempt, while the component reports the state once.
    pub fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
        let about_a_connection = matches!(facility, "FAIL" | "ERROR" | "REQTMOUT" | "MAXPOLL");
        match level {
            _ if about_a_connection => debug!(target: "librdkafka", facility, "{line}"),
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => error!(target: "librdkafka", facility, "{line}"),
            RDKafkaLogLevel::Warning => warn!(target: "librdkafka", facility, "{line}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                info!(target: "librdkafka", facility, "{line}");
            }
            RDKafkaLogLevel::Debug => debug!(target: "librdkafka", facility, "{line}"),
        }
    }

    /// Logs an error at debug level, because the statistics report the same connections without
    /// repetition.
    pub fn error(error: &KafkaError, reason: &str) {
        debug!(target: "librdkafka", %error, reason, "reported");
    }
}

/// Clients that only need a [`ClientReport`] use it as their context.
impl ClientContext for ClientReport {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        Self::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        Self::error(&error, reason);
    }

    fn stats_raw(&self, json: &[u8]) {
        let Some(statistics) = Statistics::parse(json) else { return };
        match statistics.no_broker() {
            None => self.ready(),
            Some(reason) => self.waiting(&reason),
        }
    }
}
