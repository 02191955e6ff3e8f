//! `KAFKA_*`: where the brokers are, and which topic a service uses.

use crate::settings::{HostPort, Reader, Secret};
use crate::tls::ClientTls;

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
    security: Vec<(&'static str, Secret)>,
}

const PROTOCOL: &str = "KAFKA_SECURITY_PROTOCOL";
const MECHANISM: &str = "KAFKA_SASL_MECHANISM";

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
        Self { brokers, topic, retry_max, security: security(reader) }
    }

    /// The properties of librdkafka for TLS and for the login. They may be secret.
    pub fn security(&self) -> impl Iterator<Item = (&str, &str)> {
        self.security.iter().map(|(name, value)| (*name, value.expose()))
    }
}

/// Whether the environment says where the system's authorities are. OpenSSL then looks there.
fn names_system_authorities() -> bool {
    ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| std::env::var_os(name).is_some())
}

/// The properties of librdkafka that follow from `KAFKA_SECURITY_PROTOCOL`,
/// `KAFKA_SASL_MECHANISM`, `KAFKA_SASL_USER`, `KAFKA_SASL_PASSWORD` and the files of
/// [`ClientTls`].
fn security(reader: &mut Reader) -> Vec<(&'static str, Secret)> {
    let protocol = reader.text(PROTOCOL, "plaintext");
    let mechanism = reader.text(MECHANISM, "SCRAM-SHA-512");
    let user = reader.text("KAFKA_SASL_USER", "");
    let password = reader.secret("KAFKA_SASL_PASSWORD", "");
    let tls = ClientTls::read(reader, "KAFKA");
    let (is_encrypted, logs_in) = match protocol.as_str() {
        "plaintext" => (false, false),
        "ssl" => (true, false),
        "sasl_plaintext" => (false, true),
        "sasl_ssl" => (true, true),
        _ => {
            reader.reject(PROTOCOL, "plaintext, ssl, sasl_plaintext or sasl_ssl");
            return Vec::new();
        }
    };
    if tls.is_set() && !is_encrypted {
        reader.reject(PROTOCOL, "ssl or sasl_ssl, because a KAFKA_*_FILE is set");
    }
    let has_password = !password.expose().is_empty();
    if logs_in == (user.is_empty() || !has_password) || user.is_empty() == has_password {
        let expected = "sasl_ssl or sasl_plaintext together with KAFKA_SASL_USER and KAFKA_SASL_PASSWORD, or none of these";
        reader.reject(PROTOCOL, expected);
    }
    match mechanism.as_str() {
        "SCRAM-SHA-256" | "SCRAM-SHA-512" => {}
        "PLAIN" if is_encrypted => {}
        // With PLAIN, the password would be readable.
        _ => reader.reject(MECHANISM, "SCRAM-SHA-256 or SCRAM-SHA-512; with sasl_ssl also PLAIN"),
    }
    if !is_encrypted && !logs_in {
        return Vec::new();
    }
    let text = |bytes: &[u8]| Secret::new(String::from_utf8_lossy(bytes));
    let mut properties = vec![("security.protocol", Secret::new(protocol))];
    if logs_in {
        properties.push(("sasl.mechanism", Secret::new(mechanism)));
        properties.push(("sasl.username", Secret::new(user)));
        properties.push(("sasl.password", password));
    }
    match tls.ca {
        Some(ca) => properties.push(("ssl.ca.pem", text(ca.bytes()))),
        // Where the authorities of this system are, and not where OpenSSL was built to look.
        None if is_encrypted && !names_system_authorities() => {
            properties.push(("ssl.ca.location", Secret::new("probe")));
        }
        None => {}
    }
    if let Some((certificates, key)) = tls.identity {
        properties.push(("ssl.certificate.pem", text(certificates.bytes())));
        properties.push(("ssl.key.pem", text(key.bytes())));
    }
    properties
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

    fn security_of(pairs: &[(&str, &str)]) -> Result<Vec<&'static str>, String> {
        let mut reader = Reader::from_pairs(pairs.iter().copied());
        let security = KafkaSettings::read(&mut reader, "events").security;
        reader.finish().map_err(|error| error.to_string())?;
        Ok(security.into_iter().map(|(name, _)| name).collect())
    }

    #[test]
    fn a_login_needs_a_user_and_a_password_and_a_readable_one_needs_tls() {
        let login = |protocol: &'static str, mechanism: &'static str| {
            security_of(&[
                ("KAFKA_SECURITY_PROTOCOL", protocol),
                ("KAFKA_SASL_MECHANISM", mechanism),
                ("KAFKA_SASL_USER", "shop"),
                ("KAFKA_SASL_PASSWORD", "secret"),
            ])
        };
        let properties = ["security.protocol", "sasl.mechanism", "sasl.username", "sasl.password"];
        assert_eq!(login("sasl_ssl", "PLAIN").unwrap()[..4], properties);
        assert_eq!(login("sasl_plaintext", "SCRAM-SHA-256").unwrap(), properties);
        assert_eq!(security_of(&[]).unwrap(), [""; 0]);
        assert_eq!(
            security_of(&[("KAFKA_SECURITY_PROTOCOL", "ssl")]).unwrap()[..1],
            properties[..1]
        );
        let readable = login("sasl_plaintext", "PLAIN").unwrap_err();
        assert!(readable.contains("KAFKA_SASL_MECHANISM"), "{readable}");
        for (protocol, mechanism) in
            [("ssl", "PLAIN"), ("plaintext", "SCRAM-SHA-512"), ("tls", "PLAIN")]
        {
            let error = login(protocol, mechanism).unwrap_err();
            assert!(error.contains("KAFKA_SECURITY_PROTOCOL"), "{protocol}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        for half in [("KAFKA_SASL_USER", "shop"), ("KAFKA_SASL_PASSWORD", "secret")] {
            let error = security_of(&[("KAFKA_SECURITY_PROTOCOL", "sasl_ssl"), half]).unwrap_err();
            assert!(error.contains("KAFKA_SECURITY_PROTOCOL"), "{half:?}: {error}");
        }
    }
}
