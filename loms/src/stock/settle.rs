//! The command to settle reservations: paid pieces leave the stock, cancelled ones can be sold
//! again.

use std::collections::HashSet;

use service_kit::database::DatabaseError;
use shared_actors::actor::{Command, Commit};
use shared_actors::crash_point;

use super::effect::{Effect, Settlement};
use super::queries::{self, Progress};
use super::shard::{MAX_LINES_OF_BATCH, StockShard};
use crate::domain::Failure;
use crate::retry::after_conflict;

/// Settles reservations. Those that are already settled are skipped.
pub(super) struct Settle(pub Vec<Effect>);

impl Command for Settle {
    type Output = Settlement;
    type Error = Failure;
    const NAME: &'static str = "settle";
}

impl Commit<Settle> for StockShard {
    async fn commit(&self, batch: Vec<Settle>) -> Vec<Result<Settlement, Failure>> {
        let mut known = HashSet::new();
        let mut effects: Vec<Effect> =
            batch.iter().flat_map(|Settle(effects)| effects).copied().collect();
        effects.retain(|effect| known.insert(effect.order));
        match self.settle(effects).await {
            Ok(settlement) => {
                batch.iter().map(|Settle(effects)| Ok(settlement.of(effects))).collect()
            }
            Err(error) => vec![Err(error.into()); batch.len()],
        }
    }
}

impl StockShard {
    /// Settles the effects together where possible. If a row was edited by hand, the stock may
    /// refuse an effect. Such an effect must not fail the others, so the effects are halved until
    /// it is alone.
    async fn settle(&self, effects: Vec<Effect>) -> Result<Settlement, DatabaseError> {
        let mut settlement = Settlement::default();
        let mut parts = vec![effects];
        while let Some(mut part) = parts.pop() {
            // Each transaction takes its own turn, so that reservations can run between two of
            // them.
            let turn = self.turn.lock().await;
            let settled =
                after_conflict(|| queries::settle(&self.pool, &part, MAX_LINES_OF_BATCH)).await;
            drop(turn);
            match settled {
                Ok(Progress { ended, left }) => {
                    settlement.ended.extend(ended);
                    if !left.is_empty() {
                        part.retain(|effect| left.contains(&effect.order));
                        parts.push(part);
                    }
                }
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    if let [Effect { order, .. }] = *part {
                        tracing::error!(%error, %order, "the stock refuses the effect of an order");
                        settlement.refused.push(order);
                    } else {
                        let half = part.split_off(part.len() / 2);
                        parts.extend([part, half]);
                    }
                }
            }
        }
        crash_point!("settle::committed");
        Ok(settlement)
    }
}
