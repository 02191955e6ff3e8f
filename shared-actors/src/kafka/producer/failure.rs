//! What a failure means: for the records, and for the client that met it.

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
    /// It goes on.
    Passing(ProducerError),
    /// It cannot be used any more.
    Final(ProducerError),
}

impl FailedRecord {
    /// Whether it was not sent because another record of its transaction failed.
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
            // That the topic may not be written, say, is no fault of the record.
            _ => ProducerError::Unavailable { reason },
        }
    }
}

/// The failure after which the client has to go; librdkafka keeps the first fatal error, which says most.
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
