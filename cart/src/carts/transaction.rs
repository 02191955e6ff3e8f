//! Reads, decides and writes; retries if another instance wrote first.

use std::time::Duration;

use shared_actors::actor::Backoff;
use shared_actors::crash_point;
use tokio::time::sleep;

use super::metrics;
use super::shard::CartShardHandle;
use super::state::{Change, Loaded, StoredCart, Write, Written};
use crate::domain::{CartError, Part, UserId};
use crate::idempotency::IdempotencyKey;

/// How many attempts one transaction may take. Each stale write means that another instance changed
/// the same cart, so only a conflict of many instances takes this many.
const ATTEMPTS: u32 = 40;
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(1), max: Duration::from_millis(20) };

/// The result of a transaction.
pub struct Done<T> {
    /// The answer.
    pub result: Result<T, CartError>,
    /// The stored row after the transaction; `None` if it is unknown.
    pub known: Option<StoredCart>,
}

/// The input of a transaction.
pub struct Start<'a> {
    /// The shard of the user.
    pub shard: &'a CartShardHandle,
    /// The user.
    pub user: UserId,
    /// The row when it was last read or written, if known.
    pub known: Option<StoredCart>,
    /// The key whose stored answer is needed to decide.
    pub key: Option<&'a IdempotencyKey>,
}

/// Lets `decide` choose a change and an answer from the stored row. Returns after the change is
/// durable.
///
/// A row that is known from before is used only to decide on changes, because the version fences
/// them. An error, or an answer without a change, is always based on a fresh read.
pub async fn transact<T>(
    Start { shard, user, known, key }: Start<'_>,
    decide: impl Fn(&Loaded) -> Result<(Option<Change>, T), CartError>,
) -> Done<T> {
    let mut known = known.filter(|_| key.is_none()).map(|stored| Loaded { stored, answer: None });
    for attempt in 0..ATTEMPTS {
        let (current, fresh) = match known.take() {
            Some(known) => (known, false),
            None => match shard.load(user, key.cloned()).await {
                Ok(loaded) => (loaded, true),
                Err(error) => return Done { result: Err(error), known: None },
            },
        };
        let (change, answer) = match decide(&current) {
            Ok((Some(change), answer)) => (change, answer),
            Ok((None, _)) | Err(_) if !fresh => continue,
            Ok((None, answer)) => return Done { result: Ok(answer), known: Some(current.stored) },
            Err(error) => return Done { result: Err(error), known: Some(current.stored) },
        };
        crash_point!("change::decided");
        let write = Write { user, version: current.stored.version, change: change.clone() };
        match shard.write(write).await {
            Ok(Written::Committed) => {
                crash_point!("change::written");
                return Done { result: Ok(answer), known: Some(current.stored.after(change)) };
            }
            Ok(Written::Stale) => {
                metrics::stale_write();
                sleep(BACKOFF.wait(attempt)).await;
            }
            Err(error) => return Done { result: Err(error), known: None },
        }
    }
    Done { result: Err(CartError::Unavailable(Part::Carts)), known: None }
}
