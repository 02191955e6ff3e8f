//! The parts of librdkafka's statistics that we read. They arrive as JSON once per second.

use std::collections::HashMap;

use serde::Deserialize;

/// One client's view of the cluster.
#[derive(Debug, Deserialize)]
pub(super) struct Statistics {
    brokers: HashMap<String, Broker>,
    #[serde(rename = "cgrp")]
    pub group: Option<Group>,
}

#[derive(Debug, Deserialize)]
struct Broker {
    nodename: String,
    state: String,
}

/// The client's membership in a consumer group.
#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub state: String,
    pub join_state: String,
}

impl Statistics {
    pub fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json)
            .inspect_err(
                |error| tracing::debug!(target: "librdkafka", %error, "statistics cannot be read"),
            )
            .ok()
    }

    /// Why no broker is usable, or `None` if at least one is up.
    pub fn no_broker(&self) -> Option<String> {
        let brokers = self.brokers.values();
        if brokers.clone().any(|broker| broker.state == "UP") {
            return None;
        }
        // The statistics list the coordinator as an extra broker without an address.
        let mut names: Vec<&str> = brokers
            .map(|broker| broker.nodename.as_str())
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        names.dedup();
        Some(format!("no broker can be reached ({})", names.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(state: &str) -> String {
        format!(r#"{{"nodename": "localhost:9092", "state": "{state}", "nodeid": 1}}"#)
    }

    #[test]
    fn a_cluster_is_reached_when_one_broker_is_up() {
        let statistics = |first: &str, second: &str| {
            let json =
                format!(r#"{{"brokers": {{"a": {}, "b": {}}}}}"#, broker(first), broker(second));
            Statistics::parse(json.as_bytes()).unwrap()
        };
        assert_eq!(statistics("DOWN", "UP").no_broker(), None);
        let reason = statistics("DOWN", "CONNECT").no_broker();
        assert_eq!(reason.as_deref(), Some("no broker can be reached (localhost:9092)"));
        assert!(Statistics::parse(b"{").is_none());
    }
}
