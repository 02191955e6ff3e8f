//! The actor of one database: reads and writes the rows of all waiting users together. One file per
//! command.

mod forget_keys;
mod load;
mod open_checkouts;
mod write;

use std::sync::Arc;
use std::time::Duration;

use forget_keys::ForgetKeys;
use load::LoadCart;
use open_checkouts::FindOpenCheckouts;
use service_kit::database::{DatabaseError, Pool};
use service_kit::error::{ServiceError, log_failure};
use shared_actors::actor::{ActorOptions, ArbiterHandle, BatchActor, BatchLimits, Handle};
use tokio::sync::watch;
use write::WriteCart;

use super::metrics::begin_counting;
use super::state::{Loaded, OpenCheckouts, Write, Written};
use crate::domain::{CartError, UserId};
use crate::idempotency::IdempotencyKey;

/// Two statements of the same kind keep the database busy while the results of one are read.
const LIMITS: BatchLimits = BatchLimits { commands: 256, weight: usize::MAX, concurrency: 2 };

/// Limits of batches that read carts. A cart has up to 1,000 lines, and how many is known only when
/// it is read: so a batch has at most 64,000 lines, and twice as many with open checkouts.
const READ_LIMITS: BatchLimits = BatchLimits { commands: 64, ..LIMITS };

/// One database of carts.
pub struct CartShard {
    pool: Pool,
    /// How long the answer to a request with a key is stored.
    key_ttl: Duration,
}

/// Executes the commands of one database.
pub type CartShardActor = BatchActor<CartShard>;

/// The address of the actor of one database. Cheap to clone.
#[derive(Clone)]
pub struct CartShardHandle {
    handle: Handle<CartShardActor>,
    prepared: watch::Receiver<bool>,
}

impl CartShardHandle {
    /// Starts the actor of the database behind `pool`, with room for `capacity` commands. The
    /// answer to a request with a key is stored for `key_ttl`. `prepared` becomes true when the
    /// database has its schema.
    pub fn start(
        pool: Pool,
        capacity: usize,
        key_ttl: Duration,
        arbiter: &ArbiterHandle,
        prepared: watch::Receiver<bool>,
    ) -> Self {
        begin_counting();
        let options = ActorOptions::new("cart_shard").capacity(capacity);
        let handle = CartShardActor::start(options, arbiter, Arc::new(CartShard { pool, key_ttl }));
        Self { handle, prepared }
    }

    /// Reads the row of `user`, and the answer stored under `key`.
    ///
    /// # Errors
    /// `Overloaded`, `Unavailable`, `DeadlineExceeded`.
    pub async fn load(
        &self,
        user: UserId,
        key: Option<IdempotencyKey>,
    ) -> Result<Loaded, CartError> {
        self.handle.ask(LoadCart { user, key }).await
    }

    /// Makes a change if its version is the next one. Returns after the commit.
    ///
    /// # Errors
    /// `Overloaded` if nothing was done. After `Unavailable` and `DeadlineExceeded` the change may
    /// have been made.
    pub async fn write(&self, write: Write) -> Result<Written, CartError> {
        self.handle.ask(WriteCart(write)).await
    }

    /// Returns how many checkouts have been open for longer than `grace`, and up to `limit` users
    /// whose checkouts are due.
    ///
    /// # Errors
    /// `Overloaded`, `Unavailable`, `DeadlineExceeded`.
    pub async fn open_checkouts(
        &self,
        grace: Duration,
        limit: u32,
    ) -> Result<OpenCheckouts, CartError> {
        self.handle.ask(FindOpenCheckouts { grace, limit }).await
    }

    /// Deletes up to `limit` expired keys, and returns how many were deleted.
    ///
    /// # Errors
    /// `Overloaded`, `Unavailable`, `DeadlineExceeded`.
    pub async fn forget_keys(&self, limit: u32) -> Result<u64, CartError> {
        self.handle.ask(ForgetKeys { limit }).await
    }

    /// Waits until the database has its schema.
    pub async fn until_prepared(&self) {
        // The sender is dropped only when the service stops.
        let _ = self.prepared.clone().wait_for(|prepared| *prepared).await;
    }

    /// Answers all accepted commands, then stops.
    pub async fn drain(&self) {
        self.handle.drain().await;
    }
}

/// Gives each command of a batch its answer, or gives all of them the error.
fn each<T>(commands: usize, result: Result<Vec<T>, DatabaseError>) -> Vec<Result<T, CartError>> {
    match result {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(error) => {
            let error = reported(error);
            (0..commands).map(|_| Err(error.clone())).collect()
        }
    }
}

fn reported(error: DatabaseError) -> CartError {
    log_failure(error.code(), format_args!("the database of carts failed: {error}"));
    error.into()
}
