//! What a failure means for the records and for the client.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;

use super::ProducerError;
use super::session::Client;

/// The first record that failed.
pub(super) struct FailedRecord {
    pub index: usize,
    pub error: KafkaError,
}

/// What a failed publication means for the client.
pub(super) enum Failure {
    /// The client can still be used.
    Passing(ProducerError),
    /// The client must be replaced.
    Final(ProducerError),
}

impl FailedRecord {
    /// Whether the record was not sent because another record of its transaction failed.
    pub fn is_purged(&self) -> bool {
        let code = self.error.rdkafka_error_code();
        matches!(code, Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight))
    }

    pub fn meaning(self) -> ProducerError {
        let reason = self.error.to_string();
        match self.error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessage
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::InvalidRecord,
            ) => ProducerError::Rejected { index: self.index, reason },
            Some(RDKafkaErrorCode::QueueFull) => ProducerError::TooMuch { reason },
            // Other errors, such as a topic that may not be written, are not the record's fault.
            _ => ProducerError::Unavailable { reason },
        }
    }
}

/// The failure after which the client must be replaced. Prefers librdkafka's first fatal error,
/// which is the most specific.
pub(super) fn final_failure(client: &Client, error: &KafkaError) -> Failure {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    let fatal = client.client().fatal_error();
    let code = fatal.as_ref().map(|(code, _)| *code).or_else(|| error.rdkafka_error_code());
    if matches!(code, Some(Fenced | ProducerFenced | InvalidProducerEpoch)) {
        return Failure::Final(ProducerError::Fenced);
    }
    let reason = fatal.map_or_else(|| error.to_string(), |(_, reason)| reason);
    Failure::Final(ProducerError::Unavailable { reason })
}
