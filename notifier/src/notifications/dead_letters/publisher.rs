//! Publishes the dead letters that wait in the database.

use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context};
use shared_actors::database::DatabaseError;
use tokio::time::sleep;
use tracing::{info, warn};

use super::{DeadLetters, store};

/// How many letters are taken at once.
const BATCH: u32 = 100;
/// Longer than the publication of a batch takes.
const CLAIM: Duration = Duration::from_mins(1);
const PERIOD: Duration = Duration::from_secs(5);

/// Looks for letters that wait, every 5 s; several instances may do so at once.
pub struct DeadLetterPublisher(DeadLetters);

impl DeadLetterPublisher {
    /// Publishes what waits in the database of `letters`.
    pub fn new(letters: DeadLetters) -> Self {
        Self(letters)
    }
}

impl Actor for DeadLetterPublisher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let letters = self.0.clone();
        ctx.spawn(wrap_future(async move {
            loop {
                if let Err(error) = catch_up(&letters).await.map_err(DatabaseError::from) {
                    warn!(%error, "waiting dead letters cannot be published yet");
                }
                sleep(PERIOD).await;
            }
        }));
    }
}

async fn catch_up(letters: &DeadLetters) -> Result<(), sqlx::Error> {
    loop {
        letters.shows(store::count(&letters.pool).await?);
        let claimed = store::claim(&letters.pool, BATCH, CLAIM).await?;
        if claimed.is_empty() {
            return Ok(());
        }
        let (published, unwritten) = letters.publish(claimed).await;
        for letter in &published {
            store::forget(&letters.pool, letter).await?;
        }
        if !published.is_empty() {
            info!(published = published.len(), "waiting dead letters were published");
        }
        for letter in &unwritten {
            store::release(&letters.pool, letter).await?;
        }
        if !unwritten.is_empty() {
            return Ok(());
        }
    }
}
