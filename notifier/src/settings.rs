//! The settings that the notifier reads from its environment.

use std::time::Duration;

use kafka_actors::Brokers;
use service_kit::http::HttpServerSettings;
use service_kit::process;
use service_kit::settings::KafkaSettings;
use service_kit::settings::{
    DatabaseSettings, Reader, SettingsError, ShardDefaults, ShardSettings,
};

use crate::channels::ChannelSettings;

/// The default topic of the order events. loms and notifier must agree on it.
const ORDER_EVENTS: &str = "loms.order-events";

/// The databases that loms has by default.
const LOMS_SHARDS: ShardDefaults = ShardDefaults {
    primaries: &["localhost:5432", "localhost:5434"],
    replicas: &[],
    name: "loms",
    prefix: "LOMS_",
};

/// The longest time for an attempt. A stop waits for attempts in progress.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(10);

/// All settings; the defaults fit the local stack.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The port of `/livez`, `/readyz` and `/metrics` (`HTTP_PORT`). It has one worker by default
    /// (`HTTP_WORKERS`).
    pub http: HttpServerSettings,
    /// The brokers, the topic and the retries (`KAFKA_BROKER`, `KAFKA_TOPIC`, `KAFKA_RETRY_MAX`).
    pub kafka: KafkaSettings,
    /// The consumer group that shares the work (`KAFKA_GROUP_ID`).
    pub group: String,
    /// The database of the inbox (`DATABASE_MASTER_*_0`).
    pub database: DatabaseSettings,
    /// The databases of loms, for `notifier verify` (`LOMS_DATABASE_MASTER_*_k`).
    pub loms_shards: Vec<ShardSettings>,
    /// The maximum number of connections to the database (`DATABASE_MAX_CONNECTIONS`).
    pub max_connections: u32,
    /// Whether this process migrates the database at the start (`MIGRATE_ON_START`).
    pub migrate_on_start: bool,
    /// How many times a notification that the receiver rejects is retried before it becomes a dead
    /// letter (`NOTIFICATION_MAX_RETRIES`).
    pub max_retries: u32,
    /// The channels (`NOTIFICATION_CHANNELS`, `LOG_*`, `WEBHOOK_*`, `EMAIL_*`).
    pub channels: ChannelSettings,
    /// How long one attempt to send a notification may take (`NOTIFICATION_TIMEOUT`).
    pub notification_timeout: Duration,
    /// How long a notification is retried while its channel is unavailable. Then it becomes a dead
    /// letter (`NOTIFICATION_TTL`).
    pub notification_ttl: Duration,
    /// The maximum length of an event's value in bytes. A longer event becomes a dead letter
    /// (`EVENT_MAX_BYTES`).
    pub event_max_bytes: usize,
    /// How long the inbox remembers a received event (`INBOX_TTL`). It must exceed the retention of
    /// the topic: if Kafka redelivers a forgotten event, its notifications are sent again.
    pub inbox_ttl: Duration,
    /// How long a thread may hang before the process exits (`THREAD_TIMEOUT`).
    pub thread_timeout: Duration,
}

impl Settings {
    /// Reads all settings; the defaults fit the local stack.
    ///
    /// # Errors
    /// Lists every wrong setting.
    pub fn read(mut reader: Reader) -> Result<Self, SettingsError> {
        let defaults = ShardDefaults {
            primaries: &["localhost:5432"],
            replicas: &[],
            name: "notifier",
            prefix: "",
        };
        let mut databases = ShardSettings::read(&mut reader, &defaults);
        let loms_shards = ShardSettings::read(&mut reader, &LOMS_SHARDS);
        if databases.len() > 1 {
            reader.reject(
                "DATABASE_MASTER_HOST_PORT_1",
                "no value: the notifier has only one database, number 0",
            );
        }
        let mut http = HttpServerSettings::read(&mut reader, "HTTP_PORT", 8083);
        if !reader.is_set("HTTP_WORKERS") {
            http.workers = 1;
        }
        let notification_timeout = reader.duration("NOTIFICATION_TIMEOUT", Duration::from_secs(5));
        if notification_timeout > LONGEST_ATTEMPT {
            reader.reject("NOTIFICATION_TIMEOUT", "a duration of at most 10s");
        }
        let settings = Self {
            http,
            kafka: KafkaSettings::read(&mut reader, ORDER_EVENTS),
            group: reader.text("KAFKA_GROUP_ID", "loms-notifier"),
            database: databases.swap_remove(0).primary,
            loms_shards,
            max_connections: reader.get_in("DATABASE_MAX_CONNECTIONS", 8, 2..=100),
            migrate_on_start: reader.flag("MIGRATE_ON_START", true),
            max_retries: reader.get_in("NOTIFICATION_MAX_RETRIES", 5, 0..=100),
            channels: ChannelSettings::read(&mut reader, notification_timeout),
            notification_timeout,
            notification_ttl: reader.duration("NOTIFICATION_TTL", Duration::from_hours(24)),
            event_max_bytes: reader.get_in(
                "EVENT_MAX_BYTES",
                256 * 1024,
                1024..=1024 * 1024 * 1024,
            ),
            inbox_ttl: reader.duration("INBOX_TTL", Duration::from_hours(30 * 24)),
            thread_timeout: process::thread_timeout(&mut reader),
        };
        reader.finish().map(|()| settings)
    }

    /// The brokers, as a client of Kafka needs them.
    pub fn brokers(&self) -> Brokers {
        Brokers::new(&self.kafka.brokers).with(self.kafka.security())
    }

    /// The topic for events that cannot be processed.
    pub fn dead_letter_topic(&self) -> String {
        format!("{}.dlq", self.kafka.topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_fit_the_local_stack() {
        let settings = Settings::read(Reader::from_pairs([("", "")])).unwrap();
        assert_eq!(settings.http.address.to_string(), "127.0.0.1:8083");
        assert_eq!(
            (settings.kafka.brokers.as_str(), settings.group.as_str()),
            ("localhost:9092", "loms-notifier")
        );
        assert_eq!(settings.database.address.to_string(), "localhost:5432");
        assert_eq!(settings.database.name, "notifier");
        assert_eq!(settings.dead_letter_topic(), "loms.order-events.dlq");
        assert_eq!((settings.http.workers, settings.inbox_ttl.as_secs()), (1, 30 * 86_400));
        let settings = Settings::read(Reader::from_pairs([("HTTP_WORKERS", "3")])).unwrap();
        assert_eq!(settings.http.workers, 3);
    }

    #[test]
    fn every_wrong_setting_is_told() {
        let pairs = [
            ("HTTP_PORT", "http"),
            ("NOTIFICATION_MAX_RETRIES", "-1"),
            ("DATABASE_MASTER_HOST_PORT_0", "a"),
            ("DATABASE_MASTER_HOST_PORT_1", "b"),
        ];
        let error = Settings::read(Reader::from_pairs(pairs)).unwrap_err();
        let names: Vec<&str> = error.problems.iter().map(|problem| problem.name.as_str()).collect();
        assert_eq!(names, ["DATABASE_MASTER_HOST_PORT_1", "HTTP_PORT", "NOTIFICATION_MAX_RETRIES"]);
    }
}
