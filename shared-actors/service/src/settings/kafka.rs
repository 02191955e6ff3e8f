//! `KAFKA_*`: where the brokers are, and which topic a service uses.

use crate::settings::{HostPort, Reader};

/// The Kafka settings that the services share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port`, comma-separated if there are several (`KAFKA_BROKER`).
    pub brokers: String,
    /// The topic (`KAFKA_TOPIC`).
    pub topic: String,
    /// How many times a record is retried before its publication fails (`KAFKA_RETRY_MAX`).
    ///
    /// Counts attempts that a broker refused or did not answer. Waiting for a connection is not a
    /// retry; it ends at the delivery timeout of the producer.
    pub retry_max: u32,
}

impl KafkaSettings {
    /// The longest topic name that Kafka allows, minus the suffix of the dead-letter topic.
    const TOPIC_LENGTH: usize = 249 - ".dlq".len();

    /// Reads the settings; the topic's default is `topic`. Invalid values are reported through the
    /// reader.
    pub fn read(reader: &mut Reader, topic: &str) -> Self {
        let brokers = reader.list("KAFKA_BROKER", "localhost:9092");
        if brokers
            .iter()
            .any(|broker| HostPort::parse(broker, 0).is_ok_and(|broker| broker.port == 0))
        {
            reader.reject("KAFKA_BROKER", "host:port, or several separated by commas");
        }
        let brokers = brokers.join(",");
        let topic = reader.text("KAFKA_TOPIC", topic);
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if topic.len() > Self::TOPIC_LENGTH
            || !topic.chars().all(legal)
            || topic.chars().all(|c| c == '.')
        {
            reader.reject("KAFKA_TOPIC", "letters, digits, '.', '_' and '-', at most 245");
        }
        let retry_max = reader.get_in("KAFKA_RETRY_MAX", 10, 1..=1_000);
        Self { brokers, topic, retry_max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_a_list_and_topics_have_legal_names() {
        let mut reader = Reader::from_pairs([
            ("KAFKA_BROKER", "a:9092, b:9092"),
            ("KAFKA_RETRY_MAX", "5 ### times"),
        ]);
        let settings = KafkaSettings::read(&mut reader, "events");
        reader.finish().unwrap();
        assert_eq!((settings.brokers.as_str(), settings.retry_max), ("a:9092,b:9092", 5));
        assert_eq!(settings.topic, "events");
        let mut reader = Reader::from_pairs([("KAFKA_BROKER", "a:9092,b")]);
        KafkaSettings::read(&mut reader, "events");
        assert!(reader.finish().is_err(), "a broker without a port");
        for wrong in ["order events", "..", "a/b", &"a".repeat(246)] {
            let mut reader = Reader::from_pairs([("KAFKA_TOPIC", wrong)]);
            KafkaSettings::read(&mut reader, "events");
            assert!(reader.finish().is_err(), "{wrong:?}");
        }
    }
}
