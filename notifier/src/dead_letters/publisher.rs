//! Publishes copies of dead letters to their topic.

use std::time::Duration;

use kafka_actors::{ProducerError, ProducerHandle, Record, Topic};
use service_kit::database::{DatabaseError, Pool};
use shared_actors::actor::{Pass, Periodic};
use shared_actors::crash_point;
use tracing::{info, warn};

use super::queries::{self, Claimed};
use super::{DeadLetter, UNRESOLVED, WAITING};

/// The maximum number of letters per batch.
const BATCH: u32 = 100;
/// How long claimed letters are reserved: longer than publishing a batch takes.
const CLAIM: Duration = Duration::from_mins(1);

/// Publishes letters every second. Several instances may run at once.
pub struct DeadLetterPublisher {
    pool: Pool,
    topic: Topic,
    producer: ProducerHandle,
    /// Whether the last attempt has failed. Later failures are not logged.
    failing: bool,
}

impl DeadLetterPublisher {
    /// The time between two passes.
    pub const PERIOD: Duration = Duration::from_secs(1);

    /// Publishes the letters in the database of `pool` to `topic` through `producer`.
    pub fn new(pool: Pool, topic: Topic, producer: ProducerHandle) -> Self {
        Self { pool, topic, producer, failing: false }
    }

    async fn catch_up(&mut self) -> Result<Pass, sqlx::Error> {
        queries::adopt(&self.pool).await?;
        let counts = queries::count(&self.pool).await?;
        WAITING.set(counts.waiting);
        UNRESOLVED.set(counts.unresolved);
        if counts.waiting == 0 {
            return Ok(Pass::Done);
        }
        let claimed = queries::claim(&self.pool, BATCH, CLAIM).await?;
        if claimed.is_empty() {
            return Ok(Pass::Done);
        }
        let (published, unpublished) = self.publish(claimed).await;
        crash_point!("dead_letters::published");
        if !published.is_empty() {
            queries::published(&self.pool, &published).await?;
        }
        if unpublished.is_empty() {
            if self.failing {
                info!("dead letters can be published again");
            }
            self.failing = false;
            return Ok(Pass::More);
        }
        self.failing = true;
        queries::release(&self.pool, &unpublished).await?;
        Ok(Pass::Done)
    }

    /// Publishes the letters. Returns the ids of the published and the unpublished ones.
    async fn publish(&self, letters: Vec<Claimed>) -> (Vec<i64>, Vec<i64>) {
        let topic = match self.topic.name().await {
            Ok(topic) => topic,
            Err(error) => {
                self.say(&error, letters.len());
                return (Vec::new(), letters.iter().map(|letter| letter.id).collect());
            }
        };
        let whole = letters.iter().map(|claimed| claimed.letter.whole(topic)).collect();
        let outcomes = match self.producer.publish_each(whole).await {
            Ok(outcomes) => outcomes,
            Err(error) => vec![Err(error); letters.len()],
        };
        assert_eq!(outcomes.len(), letters.len(), "an outcome per letter");
        let (mut published, mut unpublished, mut why) = (Vec::new(), Vec::new(), None);
        for (Claimed { id, letter }, outcome) in letters.into_iter().zip(outcomes) {
            let outcome = match outcome {
                Err(ProducerError::Rejected { .. }) => self.publish_alone(&letter, topic).await,
                outcome => outcome,
            };
            match outcome {
                Ok(()) => published.push(id),
                Err(error) => {
                    unpublished.push(id);
                    why = Some(error);
                }
            }
        }
        if let Some(error) = why {
            self.say(&error, unpublished.len());
        }
        (published, unpublished)
    }

    /// Publishes a rejected letter again. The broker rejects a batch as a whole, so it may be rejected
    /// because of another one. If it is also rejected alone, the added headers exceed the broker's
    /// limit.
    async fn publish_alone(&self, letter: &DeadLetter, topic: &str) -> Result<(), ProducerError> {
        match self.publish_one(letter.whole(topic)).await {
            Err(ProducerError::Rejected { .. }) => {
                self.publish_one(letter.whereabouts(topic)).await
            }
            outcome => outcome,
        }
    }

    async fn publish_one(&self, letter: Record) -> Result<(), ProducerError> {
        self.producer.publish_each(vec![letter]).await?.into_iter().collect()
    }

    fn say(&self, error: &ProducerError, letters: usize) {
        if !self.failing {
            warn!(%error, letters, "dead letters cannot be published, they wait in the database");
        }
    }
}

impl Periodic for DeadLetterPublisher {
    async fn pass(&mut self) -> Pass {
        self.catch_up().await.map_err(DatabaseError::from).unwrap_or_else(|error| {
            warn!(%error, "cannot look for dead letters yet");
            Pass::Done
        })
    }
}
