//! The command to pay or cancel an order: decide, then settle with the stock. Workflow of one
//! batch.
//!
//! Updating the row of the order is the decision. Its effect on the stock is recorded in the same
//! statement.
//!
//! A cancellation is confirmed only after its effect is applied, no matter which request decided
//! it. A client that reads the stock afterwards therefore sees the items again. A payment changes
//! nothing about what can be sold, so its effect is applied after the answer. Only cancellations of
//! the same batch delay it. Effects that are not applied in time are left to the sweeper.

use std::collections::HashSet;

use service_kit::database::DatabaseError;
use shared_actors::actor::{BatchLimits, Command, Commit};
use shared_actors::crash_point;

use super::queries::{self, Change, Changed, States};
use super::settle::SettlePaid;
use super::shard::{LIMITS, OrderShard};
use crate::domain::{Failure, OrderError, OrderId, OrderStatus};
use crate::retry::after_conflict;
use crate::stock::{Effect, EffectKind};

/// Pays or cancels an order. Returns whether this batch changed the order. If a batch has several
/// changes of one order, the first counts.
pub(crate) struct ChangeState {
    pub order: OrderId,
    pub to: OrderStatus,
    pub traceparent: Option<String>,
}

impl Command for ChangeState {
    type Output = bool;
    type Error = OrderError;
    const NAME: &'static str = "change_state";
}

impl Commit<ChangeState> for OrderShard {
    fn limits(&self) -> BatchLimits {
        LIMITS
    }

    async fn commit(&self, batch: Vec<ChangeState>) -> Vec<Result<bool, OrderError>> {
        match self.try_change(&batch).await {
            Ok(answers) => answers,
            Err(error) => vec![Err(error.into()); batch.len()],
        }
    }
}

impl OrderShard {
    async fn try_change(
        &self,
        batch: &[ChangeState],
    ) -> Result<Vec<Result<bool, OrderError>>, DatabaseError> {
        let mut seen = HashSet::new();
        let firsts: Vec<&ChangeState> =
            batch.iter().filter(|change| seen.insert(change.order)).collect();
        let changes: Vec<Change<'_>> =
            firsts.iter().filter_map(|change| as_change(change)).collect();
        crash_point!("change::begun");
        let mut made = self.decide(&changes).await?;
        let mut others = self.others(&firsts, &made).await?;
        // The order was still being inserted when the first update ran. It is visible now.
        let awaiting =
            |change: &Change<'_>| others.get(&change.order) == Some(&OrderStatus::AwaitingPayment);
        let again: Vec<Change<'_>> =
            changes.iter().filter(|change| awaiting(change)).copied().collect();
        if !again.is_empty() {
            made.extend(self.decide(&again).await?);
            others = self.others(&firsts, &made).await?;
        }
        let effect = |(order, state): (&OrderId, &OrderStatus)| {
            Some(Effect { order: *order, kind: EffectKind::of(*state)? })
        };
        let mut effects: Vec<Effect> = made.iter().filter_map(effect).collect();
        effects.extend(self.unsettled(&others).await?);

        let (paid, returned): (Vec<Effect>, Vec<Effect>) =
            effects.into_iter().partition(|effect| effect.kind == EffectKind::Take);
        self.settle_later(paid);
        let mut held: HashSet<OrderId> = returned.iter().map(|effect| effect.order).collect();
        if !returned.is_empty()
            && let Some(settled) = self.settlements.settle_unless_silent(returned).await
        {
            held.retain(|order| settled.refused.contains(order));
        }
        let answer_to = |change: &ChangeState| {
            let made = made.get(&change.order).copied();
            answer(change, made.or_else(|| others.get(&change.order).copied()))?;
            if held.contains(&change.order) {
                Err(not_settled(change.order))
            } else {
                Ok(made.is_some())
            }
        };
        Ok(batch.iter().map(answer_to).collect())
    }

    /// Has the effects of payments settled, without waiting for that.
    fn settle_later(&self, paid: Vec<Effect>) {
        let count = paid.len();
        if count > 0
            && let Err(error) = self.paid.tell(SettlePaid(paid))
        {
            let shard = &self.index;
            tracing::debug!(%error, count, %shard, "payments are left to the sweeper to settle");
        }
    }

    /// Changes those orders that await their payment. Returns their new states.
    async fn decide(&self, changes: &[Change<'_>]) -> Result<States, DatabaseError> {
        let Changed { states: made, events } =
            after_conflict(|| queries::change_states(&self.primary, changes)).await?;
        assert!(made.len() <= changes.len(), "{} of {} changes", made.len(), changes.len());
        crash_point!("change::decided");
        for state in made.values() {
            self.metrics.entered(*state);
        }
        if !made.is_empty() {
            match events {
                Some(row) => self.relay.committed(row),
                None => self.relay.wake(),
            }
            crash_point!("change::told");
        }
        Ok(made)
    }

    /// The states of the orders that were not changed.
    async fn others(
        &self,
        wanted: &[&ChangeState],
        made: &States,
    ) -> Result<States, DatabaseError> {
        let others =
            wanted.iter().map(|change| change.order).filter(|order| !made.contains_key(order));
        let others: Vec<i64> = others.map(OrderId::get).collect();
        if others.is_empty() {
            return Ok(States::new());
        }
        Ok(queries::states_of(&self.primary, &others).await?)
    }

    /// The effects that the cancelled ones among `orders` still have to apply.
    async fn unsettled(&self, orders: &States) -> Result<Vec<Effect>, DatabaseError> {
        let cancelled = orders.iter().filter(|(_, state)| **state == OrderStatus::Cancelled);
        let cancelled: Vec<i64> = cancelled.map(|(order, _)| order.get()).collect();
        if cancelled.is_empty() {
            return Ok(Vec::new());
        }
        Ok(queries::effects_of(&self.primary, &cancelled).await?)
    }
}

fn as_change(change: &ChangeState) -> Option<Change<'_>> {
    let effect = EffectKind::of(change.to)?;
    Some(Change {
        order: change.order,
        to: change.to,
        effect,
        traceparent: change.traceparent.as_deref(),
    })
}

fn answer(change: &ChangeState, state: Option<OrderStatus>) -> Result<(), OrderError> {
    match state {
        None => Err(OrderError::NotFound(change.order)),
        Some(state) if state == change.to => Ok(()),
        Some(from) => Err(OrderError::Forbidden { order: change.order, from, to: change.to }),
    }
}

/// The cancellation is final. A retry succeeds once the items are back in the stock.
fn not_settled(order: OrderId) -> OrderError {
    let reason = format!("order {order} is cancelled, but its items are not back in stock yet");
    Failure::unavailable(reason).into()
}
