//! Deletes idempotency keys that have expired.

use std::time::Duration;

use service_kit::database::DatabaseError;
use shared_actors::actor::Pass;
use shared_actors::crash_point;

use super::PAGES;
use super::metrics::swept;
use crate::domain::Failure;
use crate::orders::{OrderShard, queries};

const LIMIT: i64 = 1000;

/// Deletes the keys of orders that were created more than `age` ago and have nothing left to
/// settle.
pub(super) async fn forget_keys(shard: &OrderShard, age: Duration) -> Result<Pass, Failure> {
    for _ in 0..PAGES {
        let forgotten = queries::forget_keys(&shard.primary, age, LIMIT).await;
        let forgotten = forgotten.map_err(DatabaseError::from)?;
        if forgotten == 0 {
            return Ok(Pass::Done);
        }
        crash_point!("sweep::forgotten");
        swept("key", forgotten);
    }
    Ok(Pass::More)
}
