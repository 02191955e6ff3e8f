//! Dead letters: records that cannot be processed, and the reason.
//!
//! A letter is first stored in the database, and stays there until it is old. The
//! [`DeadLetterPublisher`] then publishes a copy to the dead-letter topic. So a topic that does not
//! accept letters delays nothing else.

mod letter;
mod publisher;
mod queries;

use std::sync::LazyLock;
use std::time::Duration;

use kafka_actors::ReceivedRecord;
use prometheus::IntGauge;
use service_kit::database::{DatabaseError, Pool};
use shared_actors::actor::{Pass, Periodic};
use shared_actors::{crash_point, metrics};
use tracing::warn;

pub use letter::{DeadLetter, letter_reason};
pub use publisher::DeadLetterPublisher;

static WAITING: LazyLock<IntGauge> = LazyLock::new(|| {
    let help = "Dead letters that wait in the database until their topic accepts them, counted up to 10,000.";
    metrics::gauges("dead_letters_waiting", help, &[]).with_label_values::<&str>(&[])
});
static UNRESOLVED: LazyLock<IntGauge> = LazyLock::new(|| {
    let help = "Dead letters that have been neither replayed nor dropped, counted up to 10,000.";
    metrics::gauges("dead_letters_unresolved", help, &[]).with_label_values::<&str>(&[])
});

/// Stores dead letters. Cheap to clone.
#[derive(Clone)]
pub struct DeadLetters(Pool);

impl DeadLetters {
    /// Stores letters in the database of `pool`.
    pub fn new(pool: Pool) -> Self {
        Self(pool)
    }

    /// Stores letters, all or none, and returns how many are new. A record that is read again is the
    /// same letter.
    ///
    /// # Errors
    /// The database is down.
    pub async fn keep(&self, letters: &[DeadLetter]) -> Result<u64, DatabaseError> {
        if letters.is_empty() {
            return Ok(0);
        }
        let new = queries::keep(&self.0, letters).await?;
        crash_point!("dead_letters::kept");
        for DeadLetter { record, reason, .. } in &new {
            let ReceivedRecord { topic, partition, offset, .. } = record;
            warn!(topic, partition, offset, reason, "the record becomes a dead letter");
        }
        Ok(new.len() as u64)
    }
}

/// Counts the letters. Several instances show the same numbers.
pub struct DeadLetterMonitor(Pool);

impl DeadLetterMonitor {
    /// The time between two passes.
    pub const PERIOD: Duration = Duration::from_secs(5);

    /// Counts the letters in the database of `pool`.
    pub fn new(pool: Pool) -> Self {
        WAITING.set(0);
        UNRESOLVED.set(0);
        Self(pool)
    }
}

impl Periodic for DeadLetterMonitor {
    async fn pass(&mut self) -> Pass {
        // The publisher logs that the database is down.
        if let Ok(counts) = queries::count(&self.0).await {
            WAITING.set(counts.waiting);
            UNRESOLVED.set(counts.unresolved);
        }
        Pass::Done
    }
}
