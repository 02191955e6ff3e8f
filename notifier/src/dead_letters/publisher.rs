//! Publishes copies of dead letters to their topic.

use std::time::Duration;

use kafka_actors::{ProducerError, ProducerHandle, Record, Topic};
use service_kit::database::{DatabaseError, Pool};
use shared_actors::actor::{Pass, Periodic};
use shared_actors::crash_point;
use tokio::time::Instant;
use tracing::{info, warn};

use super::DeadLetter;
use super::queries::{self, Claimed};

/// The maximum number of letters per batch.
const BATCH: u32 = 100;
/// How long claimed letters are reserved: longer than publishing a batch takes, see
/// [`DeadLetterPublisher::PUBLISH_WITHIN`].
const CLAIM: Duration = Duration::from_secs(15);

/// Publishes letters every second. Several instances may run at once.
pub struct DeadLetterPublisher {
    pool: Pool,
    topic: Topic,
    producer: ProducerHandle,
    /// Letters that were published, which the database does not know yet.
    unrecorded: Vec<i64>,
    /// Whether the last attempt has failed. Later failures are not logged.
    failing: bool,
}

impl DeadLetterPublisher {
    /// The time between two passes.
    pub const PERIOD: Duration = Duration::from_secs(1);
    /// The delivery timeout of the producer. It may use it four times.
    pub const PUBLISH_WITHIN: Duration = Duration::from_secs(3);

    /// Publishes the letters in the database of `pool` to `topic` through `producer`.
    pub fn new(pool: Pool, topic: Topic, producer: ProducerHandle) -> Self {
        Self { pool, topic, producer, unrecorded: Vec::new(), failing: false }
    }

    async fn catch_up(&mut self) -> Result<Pass, sqlx::Error> {
        self.record().await?;
        let claimed = queries::claim(&self.pool, BATCH, CLAIM).await?;
        if claimed.is_empty() {
            queries::adopt(&self.pool).await?;
            return Ok(Pass::Done);
        }
        crash_point!("dead_letters::claimed");
        let Published { done, not_done, error } = self.publish(claimed).await;
        crash_point!("dead_letters::published");
        self.unrecorded = done;
        self.record().await?;
        match error {
            None if self.failing => info!("dead letters can be published again"),
            Some(error) if !self.failing => {
                warn!(%error, letters = not_done.len(), "dead letters cannot be published, they wait in the database");
            }
            None | Some(_) => {}
        }
        self.failing = !not_done.is_empty();
        if !self.failing {
            return Ok(Pass::More);
        }
        queries::release(&self.pool, &not_done).await?;
        Ok(Pass::Done)
    }

    /// Records what was published.
    async fn record(&mut self) -> Result<(), sqlx::Error> {
        if !self.unrecorded.is_empty() {
            queries::published(&self.pool, &self.unrecorded).await?;
            crash_point!("dead_letters::recorded");
            self.unrecorded.clear();
        }
        Ok(())
    }

    async fn publish(&self, letters: Vec<Claimed>) -> Published {
        let mut published = Published::default();
        let topic = match self.topic.name().await {
            Ok(topic) => topic,
            Err(error) => {
                published.not_done = letters.iter().map(|letter| letter.id).collect();
                published.error = Some(error);
                return published;
            }
        };
        // Publishing one after the other must not outlast the claim.
        let give_up = Instant::now() + CLAIM / 2;
        let whole = letters.iter().map(|claimed| claimed.letter.whole(topic)).collect();
        let outcomes = match self.producer.publish_each(whole).await {
            Ok(outcomes) => outcomes,
            Err(error) => vec![Err(error); letters.len()],
        };
        assert_eq!(outcomes.len(), letters.len(), "an outcome per letter");
        for (Claimed { id, letter }, outcome) in letters.into_iter().zip(outcomes) {
            let outcome = match outcome {
                Err(ProducerError::Rejected { .. })
                    if published.error.is_none() && Instant::now() < give_up =>
                {
                    self.publish_alone(&letter, topic).await
                }
                outcome => outcome,
            };
            match outcome {
                Ok(()) => published.done.push(id),
                Err(error) => {
                    published.not_done.push(id);
                    published.error = Some(error);
                }
            }
        }
        published
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
}

/// The ids of letters by whether they were published, and an error of one that was not.
#[derive(Default)]
struct Published {
    done: Vec<i64>,
    not_done: Vec<i64>,
    error: Option<ProducerError>,
}

impl Periodic for DeadLetterPublisher {
    async fn pass(&mut self) -> Pass {
        match self.catch_up().await.map_err(DatabaseError::from) {
            Ok(pass) => pass,
            Err(error) => {
                if !self.failing {
                    warn!(%error, "cannot look for dead letters yet");
                }
                self.failing = true;
                Pass::Done
            }
        }
    }
}
