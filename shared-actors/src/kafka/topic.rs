//! A topic that a service makes itself before it first writes to it: brokers need not create topics on their own.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::{ProducerError, client};

const PARTITIONS: i32 = 1;
/// The broker's own default.
const REPLICATION: TopicReplication<'static> = TopicReplication::Fixed(-1);
const TIMEOUT: Duration = Duration::from_secs(5);

/// A topic that is there once it has been asked for. Cheap to clone.
#[derive(Clone)]
pub struct Topic {
    brokers: String,
    name: String,
    made: Arc<OnceCell<()>>,
}

impl Topic {
    /// The topic `name` on `brokers` (`host:port`, comma-separated).
    pub fn new(brokers: impl Into<String>, name: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), name: name.into(), made: Arc::default() }
    }

    /// The topic's name, after it was created unless it was there.
    ///
    /// # Errors
    /// `Unavailable` while the brokers cannot be reached: ask again. A broker that refuses to create the topic is no
    /// error here: somebody else may have made it, and otherwise writing to it tells.
    pub async fn name(&self) -> Result<&str, ProducerError> {
        let made = self.made.get_or_try_init(async || self.make().await).await;
        made.map_err(|error| ProducerError::Unavailable { reason: error.to_string() })?;
        Ok(&self.name)
    }

    async fn make(&self) -> Result<(), KafkaError> {
        let admin: AdminClient<DefaultClientContext> = client::config(&self.brokers, "topics").create()?;
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
        let topic = NewTopic::new(&self.name, PARTITIONS, REPLICATION);
        let outcomes = admin.create_topics([&topic], &options).await;
        // It waits for its threads.
        spawn_blocking(move || drop(admin));
        for outcome in outcomes? {
            match outcome {
                Ok(topic) => info!(topic, "the topic was created"),
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) if is_refusal(code) => {
                    warn!(topic, %code, "the topic cannot be created");
                }
                Err((_, code)) => return Err(KafkaError::AdminOp(code)),
            }
        }
        Ok(())
    }
}

/// Asking again changes nothing.
fn is_refusal(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::PolicyViolation
            | RDKafkaErrorCode::InvalidReplicationFactor
    )
}
