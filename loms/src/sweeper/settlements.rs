//! Paid and cancelled orders whose effect on the stock was not applied in time: it is now.

use std::time::Duration;

use shared_actors::crash_point;

use super::PAGES;
use super::metrics::swept;
use crate::orders::{OrderShard, queries};

/// The request that changed the order applies its effect itself within this time, or not at all.
const GRACE: Duration = Duration::from_secs(3);
const LIMIT: i64 = 500;

/// Applies effects that are late, the oldest orders first.
pub(super) async fn settle_late(shard: &OrderShard) -> Result<(), sqlx::Error> {
    for _ in 0..PAGES {
        let late = queries::late_effects(&shard.primary, GRACE, LIMIT).await?;
        let count = late.len();
        if count == 0 {
            break;
        }
        crash_point!("sweep::late");
        if !shard.settle(late).await {
            break;
        }
        crash_point!("sweep::settled");
        swept("settlement", count);
    }
    Ok(())
}
