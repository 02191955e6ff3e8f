//! Paying and cancelling orders: decide, then settle with the stock. The workflow of one batch.
//!
//! The row of the order is the decision. What it does to the stock is written down with it, and done before the answer
//! when the stock answers in time; the sweeper does it otherwise. A cancellation is not confirmed before that, whoever
//! decided it: who reads the stock after the answer finds the items there. A payment frees nothing and need not wait.

use std::collections::{HashMap, HashSet};

use shared_actors::crash_point;
use shared_actors::database::DatabaseError;

use super::queries::{self, Change};
use super::shard::OrderShard;
use crate::domain::{Order, OrderError, OrderId, OrderStatus};
use crate::retry::after_conflict;
use crate::stock::{Effect, EffectKind};

/// One order that somebody wants paid or cancelled.
pub(crate) struct StateChange {
    pub order: OrderId,
    pub to: OrderStatus,
    pub traceparent: Option<String>,
}

impl OrderShard {
    /// Changes the orders of one batch; each is answered at its index. Of several changes of one order the first one
    /// counts.
    pub(super) async fn change(&self, batch: &[StateChange]) -> Vec<Result<(), OrderError>> {
        match self.try_change(batch).await {
            Ok(answers) => answers,
            Err(error) => vec![Err(error.into()); batch.len()],
        }
    }

    async fn try_change(&self, batch: &[StateChange]) -> Result<Vec<Result<(), OrderError>>, DatabaseError> {
        let mut seen = HashSet::new();
        let firsts: Vec<&StateChange> = batch.iter().filter(|change| seen.insert(change.order)).collect();
        let changes: Vec<Change<'_>> = firsts.iter().filter_map(|change| as_change(change)).collect();
        crash_point!("change::begun");
        let decided = after_conflict(|| queries::change_states(&self.primary, &changes)).await?;
        crash_point!("change::decided");
        let decided: HashSet<i64> = decided.into_iter().collect();

        let mut states: HashMap<OrderId, OrderStatus> = HashMap::with_capacity(firsts.len());
        let mut effects = Vec::with_capacity(decided.len());
        for change in changes.iter().filter(|change| decided.contains(&change.order.get())) {
            states.insert(change.order, change.to);
            effects.push(Effect { order: change.order, kind: change.effect });
            self.metrics.entered(change.to);
        }
        if !effects.is_empty() {
            self.relay.wake();
            crash_point!("change::told");
        }
        let unchanged = firsts.iter().map(|change| change.order.get()).filter(|id| !decided.contains(id));
        let unchanged: Vec<i64> = unchanged.collect();
        if !unchanged.is_empty() {
            let found = queries::find(&self.primary, &unchanged).await?;
            effects.extend(self.unsettled(&found).await?);
            states.extend(found.into_iter().map(|order| (order.id, order.status)));
        }
        let returned: HashSet<OrderId> = effects
            .iter()
            .filter(|effect| effect.kind == EffectKind::Return)
            .map(|effect| effect.order)
            .collect();
        let settled = effects.is_empty() || self.settle_unless_silent(effects).await;
        let answer_to = |change: &StateChange| {
            answer(change, states.get(&change.order).copied())?;
            if settled || !returned.contains(&change.order) { Ok(()) } else { Err(not_settled(change.order)) }
        };
        Ok(batch.iter().map(answer_to).collect())
    }

    /// What those of `orders` that are cancelled still have to give back.
    async fn unsettled(&self, orders: &[Order]) -> Result<Vec<Effect>, DatabaseError> {
        let cancelled = orders.iter().filter(|order| order.status == OrderStatus::Cancelled);
        let cancelled: Vec<i64> = cancelled.map(|order| order.id.get()).collect();
        if cancelled.is_empty() {
            return Ok(Vec::new());
        }
        Ok(queries::effects_of(&self.primary, &cancelled).await?)
    }
}

fn as_change(change: &StateChange) -> Option<Change<'_>> {
    let effect = EffectKind::of(change.to)?;
    Some(Change { order: change.order, to: change.to, effect, traceparent: change.traceparent.as_deref() })
}

fn answer(change: &StateChange, state: Option<OrderStatus>) -> Result<(), OrderError> {
    match state {
        None => Err(OrderError::OrderNotFound(change.order)),
        Some(state) if state == change.to => Ok(()),
        Some(from) => Err(OrderError::Forbidden { order: change.order, from, to: change.to }),
    }
}

/// The order is cancelled for good; asking again is answered well once its items are back.
fn not_settled(order: OrderId) -> OrderError {
    OrderError::Unavailable { reason: format!("order {order} is cancelled, its items are not back yet") }
}
