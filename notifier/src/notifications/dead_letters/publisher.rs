//! Publishes the dead letters that wait in the database.

use std::time::Duration;

use service_kit::database::DatabaseError;
use shared_actors::actor::{Pass, Periodic};
use tracing::{info, warn};

use super::{DeadLetters, queries};

/// The maximum number of letters per batch.
const BATCH: u32 = 100;
/// How long claimed letters are reserved: longer than publishing a batch takes.
const CLAIM: Duration = Duration::from_mins(1);

/// Publishes waiting letters every 5 s. Several instances may run at once.
pub struct DeadLetterPublisher(DeadLetters);

impl DeadLetterPublisher {
    /// The time between two passes.
    pub const PERIOD: Duration = Duration::from_secs(5);

    /// Publishes the letters that wait in the database of `letters`.
    pub fn new(letters: DeadLetters) -> Self {
        Self(letters)
    }
}

impl Periodic for DeadLetterPublisher {
    async fn pass(&mut self) -> Pass {
        catch_up(&self.0).await.map_err(DatabaseError::from).unwrap_or_else(|error| {
            warn!(%error, "waiting dead letters cannot be published yet");
            Pass::Done
        })
    }
}

async fn catch_up(letters: &DeadLetters) -> Result<Pass, sqlx::Error> {
    letters.shows(queries::count(&letters.pool).await?);
    let claimed = queries::claim(&letters.pool, BATCH, CLAIM).await?;
    if claimed.is_empty() {
        return Ok(Pass::Done);
    }
    let (published, unwritten) = letters.publish(claimed).await;
    for letter in &published {
        queries::forget(&letters.pool, letter).await?;
    }
    if !published.is_empty() {
        info!(published = published.len(), "waiting dead letters were published");
    }
    for letter in &unwritten {
        queries::release(&letters.pool, letter).await?;
    }
    Ok(if unwritten.is_empty() { Pass::More } else { Pass::Done })
}
