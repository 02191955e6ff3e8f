//! Applies effects of paid and cancelled orders that were not applied in time.

use std::time::Duration;

use service_kit::database::DatabaseError;
use shared_actors::actor::Pass;
use shared_actors::crash_point;

use super::PAGES;
use super::metrics::swept;
use crate::domain::Failure;
use crate::orders::{OrderShard, queries};

/// By then, the effect of a cancellation is applied or left to the sweeper. The effect of a payment
/// may still be queued; settling it twice changes nothing.
const GRACE: Duration = Duration::from_secs(3);
const LIMIT: i64 = 500;
/// How long to wait before retrying an effect that the stock refused. It fails until an operator
/// repairs the stock.
const REFUSED_REST: Duration = Duration::from_secs(10);

/// Applies late effects, in the order of their order ids.
pub(super) async fn settle_late(shard: &OrderShard) -> Result<Pass, Failure> {
    for _ in 0..PAGES {
        let late = queries::late_effects(&shard.primary, GRACE, REFUSED_REST, LIMIT).await;
        let late = late.map_err(DatabaseError::from)?;
        if late.is_empty() {
            return Ok(Pass::Done);
        }
        crash_point!("sweep::late");
        let Some(settled) = shard.settlements.settle(late).await else { return Ok(Pass::Done) };
        crash_point!("sweep::settled");
        swept("settlement", settled.forgotten);
    }
    Ok(Pass::More)
}
