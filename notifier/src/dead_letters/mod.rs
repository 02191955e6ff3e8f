//! Dead letters: records that cannot be processed, and the reason.
//!
//! A letter is first stored in the database, and stays there until it is old. The
//! [`DeadLetterPublisher`] then publishes a copy to the dead-letter topic. So a topic that does not
//! accept letters delays nothing else.

mod letter;
mod publisher;
mod queries;

use prometheus::IntGauge;
use service_kit::database::{DatabaseError, Pool};
use shared_actors::metrics;
use std::sync::LazyLock;

pub use letter::{DeadLetter, letter_reason};
pub use publisher::DeadLetterPublisher;

static WAITING: LazyLock<IntGauge> = LazyLock::new(|| {
    let help = "Dead letters that wait in the database until their topic accepts them.";
    metrics::gauges("dead_letters_waiting", help, &[]).with_label_values::<&str>(&[])
});
static UNRESOLVED: LazyLock<IntGauge> = LazyLock::new(|| {
    let help = "Dead letters that were neither replayed nor dropped.";
    metrics::gauges("dead_letters_unresolved", help, &[]).with_label_values::<&str>(&[])
});

/// Stores dead letters. Cheap to clone.
#[derive(Clone)]
pub struct DeadLetters(Pool);

impl DeadLetters {
    /// Stores letters in the database of `pool`.
    pub fn new(pool: Pool) -> Self {
        WAITING.set(0);
        UNRESOLVED.set(0);
        Self(pool)
    }

    /// Stores letters, and returns how many are new. A record that is read again is the same letter.
    ///
    /// # Errors
    /// The database is down. Some letters may be stored.
    pub async fn keep(&self, letters: &[DeadLetter]) -> Result<u64, DatabaseError> {
        Ok(queries::keep(&self.0, letters).await?)
    }
}
