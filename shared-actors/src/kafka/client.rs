//! What producer and consumer share as clients of librdkafka: common settings, its log, whether brokers are reached.

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use tracing::{debug, error, info, warn};

use super::statistics::Statistics;
use crate::health::Component;

/// Librdkafka's settings that every client has.
pub(super) fn config(brokers: &str, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("client.id", client_id)
        // A broker that accepts and never answers is found out by this.
        .set("socket.timeout.ms", "10000")
        // Connections that a firewall forgot while they were idle are found out by the kernel, or by the next request.
        .set("socket.keepalive.enable", "true")
        .set("socket.connection.setup.timeout.ms", "5000")
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "2000")
        // Until a topic appears or moves.
        .set("topic.metadata.refresh.interval.ms", "10000")
        // Feeds readiness.
        .set("statistics.interval.ms", "1000");
    config
}

/// Sends librdkafka's log to `tracing` and tells a [`Component`] whether brokers are reached.
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

    /// The component tells once what librdkafka repeats at each attempt to connect, so that is for debugging only.
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

    /// Statistics say the same about connections, without repeating it.
    pub fn error(error: &KafkaError, reason: &str) {
        debug!(target: "librdkafka", %error, reason, "reported");
    }
}

/// The context of a client that has nothing to add to its [`ClientReport`].
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
