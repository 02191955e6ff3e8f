//! Dead letters: records that cannot be processed, published with the reason to their own topic.
//!
//! A letter that the topic does not accept waits in the database, so that it delays no other
//! record. [`DeadLetterPublisher`] publishes it later.

mod letter;
mod publisher;
mod queries;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use kafka_actors::{ProducerError, ProducerHandle, Record, Topic};
use prometheus::IntGauge;
use service_kit::database::{DatabaseError, Pool};
use shared_actors::metrics;
use tracing::warn;

pub(super) use letter::DeadLetter;
pub use publisher::DeadLetterPublisher;

static WAITING: LazyLock<IntGauge> = LazyLock::new(|| {
    let help = "Dead letters that wait in the database until their topic accepts them.";
    metrics::gauges("dead_letters_waiting", help, &[]).with_label_values::<&str>(&[])
});

/// Writes dead letters. Cheap to clone.
#[derive(Clone)]
pub struct DeadLetters {
    topic: Topic,
    producer: ProducerHandle,
    pool: Pool,
    /// Partition and offset of the letters already written from the current batch, which may be
    /// delivered again.
    written: Arc<Mutex<HashSet<(i32, i64)>>>,
    /// Whether letters wait in the database. Later ones then wait behind them, and save the time of
    /// an attempt.
    behind: Arc<AtomicBool>,
}

impl DeadLetters {
    /// Publishes dead letters to `topic` through `producer`. While that fails, they go to the
    /// database of `pool`.
    pub fn new(topic: Topic, producer: ProducerHandle, pool: Pool) -> Self {
        WAITING.set(0);
        Self { topic, producer, pool, written: Arc::default(), behind: Arc::default() }
    }

    /// Writes the letters. Returns how many were new, that is, not yet written from the current
    /// batch. After an error some may be written; they are not written again when they are
    /// delivered again.
    pub(super) async fn write(&self, letters: Vec<DeadLetter>) -> Result<usize, DatabaseError> {
        let new = {
            let written = self.written();
            letters.into_iter().filter(|letter| !written.contains(&key(letter))).collect::<Vec<_>>()
        };
        if new.is_empty() {
            return Ok(0);
        }
        let count = new.len();
        let unwritten = if self.behind.load(Ordering::Relaxed) {
            new
        } else {
            let (published, unwritten) = self.publish(new).await;
            self.written().extend(published.iter().map(key));
            unwritten
        };
        if !unwritten.is_empty() {
            queries::keep(&self.pool, &unwritten).await?;
            self.behind.store(true, Ordering::Relaxed);
            self.written().extend(unwritten.iter().map(key));
        }
        Ok(count)
    }

    /// Notes that the current batch is done and will not be delivered again.
    pub(super) fn batch_is_done(&self) {
        self.written().clear();
    }

    /// Publishes the letters. Returns the published and the unpublished ones.
    async fn publish(&self, letters: Vec<DeadLetter>) -> (Vec<DeadLetter>, Vec<DeadLetter>) {
        let topic = match self.topic.name().await {
            Ok(topic) => topic,
            Err(error) => {
                warn!(%error, "the dead-letter topic cannot be used");
                return (Vec::new(), letters);
            }
        };
        let (mut published, mut unwritten) = (Vec::new(), Vec::new());
        let (whole, failed) = self.attempt(letters, |letter| letter.whole(topic)).await;
        published.extend(whole);
        for (letter, error) in failed {
            if !matches!(error, ProducerError::Rejected { .. }) {
                unwritten.push((letter, error));
                continue;
            }
            // The broker rejects a batch as a whole, so this letter may be rejected because of
            // another one. If it is also rejected alone, the added headers exceed the broker's
            // limit.
            let outcome = match self.publish_one(letter.whole(topic)).await {
                Err(ProducerError::Rejected { .. }) => {
                    self.publish_one(letter.whereabouts(topic)).await
                }
                outcome => outcome,
            };
            match outcome {
                Ok(()) => published.push(letter),
                Err(error) => unwritten.push((letter, error)),
            }
        }
        if let Some((_, error)) = unwritten.first() {
            warn!(%error, letters = unwritten.len(), "dead letters cannot be published, they wait in the database");
        }
        (published, unwritten.into_iter().map(|(letter, _)| letter).collect())
    }

    async fn attempt(
        &self,
        letters: Vec<DeadLetter>,
        record: impl Fn(&DeadLetter) -> Record,
    ) -> (Vec<DeadLetter>, Vec<(DeadLetter, ProducerError)>) {
        let outcomes = match self.producer.publish_each(letters.iter().map(record).collect()).await
        {
            Ok(outcomes) => outcomes,
            Err(error) => vec![Err(error); letters.len()],
        };
        assert_eq!(outcomes.len(), letters.len(), "an outcome per letter");
        let (mut published, mut failed) = (Vec::new(), Vec::new());
        for (letter, outcome) in letters.into_iter().zip(outcomes) {
            match outcome {
                Ok(()) => published.push(letter),
                Err(error) => failed.push((letter, error)),
            }
        }
        (published, failed)
    }

    async fn publish_one(&self, letter: Record) -> Result<(), ProducerError> {
        self.producer.publish_each(vec![letter]).await?.into_iter().collect()
    }

    fn shows(&self, waiting: i64) {
        WAITING.set(waiting);
        self.behind.store(waiting > 0, Ordering::Relaxed);
    }

    fn written(&self) -> std::sync::MutexGuard<'_, HashSet<(i32, i64)>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(letter: &DeadLetter) -> (i32, i64) {
    (letter.record.partition, letter.record.offset)
}
