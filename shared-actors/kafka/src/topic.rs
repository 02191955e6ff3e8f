//! A topic that a service creates before it first writes to it, because brokers may not create
//! topics automatically.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use super::{Brokers, ProducerError, client};

const PARTITIONS: i32 = 1;
/// The broker's default.
const REPLICATION: TopicReplication<'static> = TopicReplication::Fixed(-1);
const TIMEOUT: Duration = Duration::from_secs(5);

/// A topic that is created when its name is first needed. Cheap to clone.
#[derive(Clone)]
pub struct Topic {
    brokers: Brokers,
    name: String,
    made: Arc<OnceCell<()>>,
}

impl Topic {
    /// The topic `name` on `brokers`.
    pub fn new(brokers: impl Into<Brokers>, name: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), name: name.into(), made: Arc::default() }
    }

    /// Creates the topic if it does not exist, and returns its name.
    ///
    /// # Errors
    /// `Unavailable` while the brokers cannot be reached: call it again. It is no error if a broker
    /// refuses to create the topic. Someone else may have created it; if not, writing to it fails.
    pub async fn name(&self) -> Result<&str, ProducerError> {
        let made = self.made.get_or_try_init(async || self.make().await).await;
        made.map_err(|error| ProducerError::Unavailable { reason: error.to_string() })?;
        Ok(&self.name)
    }

    async fn make(&self) -> Result<(), KafkaError> {
        let admin: AdminClient<DefaultClientContext> =
            client::config(&self.brokers, "topics").create()?;
        let options =
            AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT));
        let topic = NewTopic::new(&self.name, PARTITIONS, REPLICATION);
        let outcomes = admin.create_topics([&topic], &options).await;
        // Dropping the client blocks until its threads have ended.
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

/// Whether a retry cannot succeed.
fn is_refusal(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::PolicyViolation
            | RDKafkaErrorCode::InvalidReplicationFactor
    )
}
