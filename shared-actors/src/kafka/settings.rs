//! `KAFKA_*`: where the brokers are, and which topic carries the order events.

use crate::settings::Reader;

/// The Kafka settings that the services share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSettings {
    /// `host:port`, comma-separated if there are several (`KAFKA_BROKER`).
    pub brokers: String,
    /// The topic of the order events (`KAFKA_TOPIC`).
    pub topic: String,
    /// How many times a record is retried before its publication fails (`KAFKA_RETRY_MAX`).
    ///
    /// Counts attempts that a broker refused or did not answer. Waiting for a connection is not a
    /// retry; it ends at [`super::ProducerOptions::delivery_timeout`].
    pub retry_max: u32,
}

impl KafkaSettings {
    /// The longest topic name that Kafka allows, minus the suffix of the dead-letter topic.
    const TOPIC_LENGTH: usize = 249 - ".dlq".len();

    /// Reads the settings; the defaults fit the local stack. Invalid values are reported through
    /// the reader.
    pub fn read(reader: &mut Reader) -> Self {
        let brokers = reader.list("KAFKA_BROKER", "localhost:9092").join(",");
        let topic = reader.text("KAFKA_TOPIC", "loms.order-events");
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if topic.len() > Self::TOPIC_LENGTH || !topic.chars().all(legal) || topic.chars().all(|c| c == '.') {
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
        let mut reader =
            Reader::from_pairs([("KAFKA_BROKER", "a:9092, b:9092"), ("KAFKA_RETRY_MAX", "5 ### times")]);
        let settings = KafkaSettings::read(&mut reader);
        reader.finish().unwrap();
        assert_eq!((settings.brokers.as_str(), settings.retry_max), ("a:9092,b:9092", 5));
        assert_eq!(settings.topic, "loms.order-events");
        for wrong in ["order events", "..", "a/b", &"a".repeat(246)] {
            let mut reader = Reader::from_pairs([("KAFKA_TOPIC", wrong)]);
            KafkaSettings::read(&mut reader);
            assert!(reader.finish().is_err(), "{wrong:?}");
        }
    }
}
