//! The little that is read of librdkafka's statistics, which come as JSON once a second.

use std::collections::HashMap;

use serde::Deserialize;

/// One client's view of the cluster.
#[derive(Debug, Deserialize)]
pub(super) struct Statistics {
    brokers: HashMap<String, Broker>,
    #[serde(default)]
    pub topics: HashMap<String, Topic>,
    #[serde(rename = "cgrp")]
    pub group: Option<Group>,
}

#[derive(Debug, Deserialize)]
struct Broker {
    nodename: String,
    state: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Topic {
    pub partitions: HashMap<String, Partition>,
}

/// A partition of a topic that is read.
#[derive(Debug, Deserialize)]
pub(super) struct Partition {
    #[serde(rename = "partition")]
    pub number: i32,
    next_offset: i64,
    ls_offset: i64,
    consumer_lag: i64,
    fetchq_cnt: i64,
}

/// The membership in a consumer group.
#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub state: String,
    pub join_state: String,
}

impl Statistics {
    pub fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json)
            .inspect_err(|error| tracing::debug!(target: "librdkafka", %error, "statistics cannot be read"))
            .ok()
    }

    /// Why no broker is of use; `None` when one answers.
    pub fn no_broker(&self) -> Option<String> {
        let brokers = self.brokers.values();
        if brokers.clone().any(|broker| broker.state == "UP") {
            return None;
        }
        // A coordinator is one of the brokers once more, under no address of its own.
        let mut names: Vec<&str> =
            brokers.map(|broker| broker.nodename.as_str()).filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        names.dedup();
        Some(format!("no broker can be reached ({})", names.join(", ")))
    }
}

impl Partition {
    /// How many records are not done yet, when that is known. `idle` says that none is in hand.
    ///
    /// Offsets count the markers of transactions, too, which nobody commits: who has read to the end and has nothing in
    /// hand lags behind by nothing, whatever the difference of the offsets.
    pub fn lag(&self, idle: bool) -> Option<i64> {
        if self.ls_offset < 0 {
            return None;
        }
        let at_the_end = self.next_offset >= self.ls_offset && self.fetchq_cnt == 0;
        if idle && at_the_end {
            return Some(0);
        }
        (self.consumer_lag >= 0).then_some(self.consumer_lag)
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
            let json = format!(r#"{{"brokers": {{"a": {}, "b": {}}}}}"#, broker(first), broker(second));
            Statistics::parse(json.as_bytes()).unwrap()
        };
        assert_eq!(statistics("DOWN", "UP").no_broker(), None);
        let reason = statistics("DOWN", "CONNECT").no_broker();
        assert_eq!(reason.as_deref(), Some("no broker can be reached (localhost:9092)"));
        assert!(Statistics::parse(b"{").is_none());
    }

    #[test]
    fn who_has_read_to_the_end_does_not_lag() {
        let partition =
            Partition { number: 0, next_offset: 12, ls_offset: 12, consumer_lag: 1, fetchq_cnt: 0 };
        assert_eq!(partition.lag(true), Some(0));
        assert_eq!(partition.lag(false), Some(1));
        assert_eq!(Partition { ls_offset: -1, ..partition }.lag(true), None);
    }
}
