//! Creating orders: reserve, then write down. The workflow of one batch, from the requests to their answers.
//!
//! It runs in the actor's own future: a client that hangs up cancels nothing half-way. What a crash leaves behind is a
//! reservation without an order, which a retry under the same key finds again and the sweeper gives back otherwise.

use std::collections::{HashMap, HashSet};

use shared_actors::crash_point;
use shared_actors::database::DatabaseError;

use super::queries::{self, InsertedRow};
use super::shard::OrderShard;
use crate::domain::{IdempotencyKey, NewOrder, Order, OrderError, OrderId, OrderStatus, UserId};
use crate::retry::after_conflict;
use crate::stock::{Effect, EffectKind, Reservation, ReservationRequest};

type Answer = Result<OrderId, OrderError>;
type Key<'a> = (UserId, &'a IdempotencyKey);

impl OrderShard {
    /// Creates the orders of one batch; each request is answered at its index.
    pub(super) async fn create(&self, requests: &[NewOrder]) -> Vec<Answer> {
        match self.try_create(requests).await {
            Ok(answers) => answers,
            Err(error) => vec![Err(error); requests.len()],
        }
    }

    async fn try_create(&self, requests: &[NewOrder]) -> Result<Vec<Answer>, OrderError> {
        let mut answers: Vec<Option<Answer>> = vec![None; requests.len()];
        self.answer_known(requests, &mut answers).await?;
        loop {
            let groups = open_groups(requests, &answers);
            if groups.is_empty() {
                return Ok(answers.into_iter().flatten().collect());
            }
            let leaders: Vec<&NewOrder> = groups.iter().map(|group| &requests[group[0]]).collect();
            let led = self.attempt(&leaders).await.unwrap_or_else(|error| vec![Err(error); groups.len()]);
            for ((group, leader), answer) in groups.iter().zip(leaders).zip(led) {
                for index in group {
                    answers[*index] = answer_beside(leader, &answer, &requests[*index]);
                }
            }
        }
    }

    /// Answers the requests whose key has led to an order before.
    async fn answer_known(
        &self,
        requests: &[NewOrder],
        answers: &mut [Option<Answer>],
    ) -> Result<(), OrderError> {
        let keys: HashSet<Key<'_>> = requests.iter().filter_map(key_of).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let keys: Vec<Key<'_>> = keys.into_iter().collect();
        let known = queries::find_by_keys(&self.primary, &keys).await.map_err(DatabaseError::from)?;
        for (answer, request) in answers.iter_mut().zip(requests) {
            let order = key_of(request).and_then(|(user, key)| known.get(&(user, key.clone())));
            *answer = order.map(|order| answer_with(order, request));
        }
        Ok(())
    }

    /// Reserves for orders, and writes them down as what that led to.
    async fn attempt(&self, orders: &[&NewOrder]) -> Result<Vec<Answer>, OrderError> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        crash_point!("create::looked_up");
        let ids = self.ids.take(&self.primary, orders.len()).await.map_err(DatabaseError::from)?;
        crash_point!("create::numbered");
        let requests = ids.iter().zip(orders).map(|(id, order)| request(*id, order)).collect();
        let reservations = self.stock.reserve(requests).await?;
        crash_point!("create::reserved");

        let mut rows = Vec::with_capacity(orders.len());
        let mut answers = Vec::with_capacity(orders.len());
        for ((reservation, own_id), order) in reservations.into_iter().zip(ids).zip(orders.iter().copied()) {
            match reservation {
                Reservation::Held { order: id } if !self.owns(id) => answers.push(Err(elsewhere(id))),
                Reservation::Held { order: id } => {
                    rows.push(InsertedRow { id, order, failed: false });
                    answers.push(Ok(id));
                }
                Reservation::Short => {
                    rows.push(InsertedRow { id: own_id, order, failed: true });
                    answers.push(Err(OrderError::OutOfStock { order: own_id }));
                }
                Reservation::KeyReused { order } => answers.push(Err(OrderError::KeyReused { order })),
            }
        }
        let inserted = self.insert(&rows).await?;
        if inserted.len() < rows.len() {
            let lost: Vec<_> = rows.iter().filter(|row| !inserted.contains(&row.id)).copied().collect();
            let mut won = self.winners(&lost).await?;
            for answer in &mut answers {
                if let Ok(id) | Err(OrderError::OutOfStock { order: id }) = answer
                    && let Some(winner) = won.remove(id)
                {
                    *answer = winner;
                }
            }
        }
        Ok(answers)
    }

    /// Writes orders down, and answers the ids of those that were not there before.
    pub(crate) async fn insert(&self, rows: &[InsertedRow<'_>]) -> Result<HashSet<OrderId>, OrderError> {
        if rows.is_empty() {
            return Ok(HashSet::new());
        }
        // In one order wherever they come from: two instances with the same orders or keys would wait for each other.
        let mut sorted = rows.to_vec();
        sorted.sort_unstable_by_key(|row| (key_of(row.order), row.id));
        let inserted = after_conflict(|| queries::insert(&self.primary, &sorted, self.payment_ttl)).await?;
        crash_point!("create::written");
        let inserted: HashSet<OrderId> = inserted.into_iter().collect();
        self.metrics.created(rows.iter().filter(|row| inserted.contains(&row.id)).map(|row| row.failed));
        self.relay.wake();
        crash_point!("create::told");
        Ok(inserted)
    }

    /// The answers for orders that somebody else wrote down first, under the same key or in the place of an attempt
    /// that had been given up. What they hold beside the winner's order is given back.
    async fn winners(&self, lost: &[InsertedRow<'_>]) -> Result<HashMap<OrderId, Answer>, OrderError> {
        let keys: Vec<Key<'_>> = lost.iter().filter_map(|row| key_of(row.order)).collect();
        let by_key = queries::find_by_keys(&self.primary, &keys).await.map_err(DatabaseError::from)?;
        let ids: Vec<i64> = lost.iter().map(|row| row.id.get()).collect();
        let by_id = queries::find(&self.primary, &ids).await.map_err(DatabaseError::from)?;
        let by_id: HashMap<OrderId, Order> = by_id.into_iter().map(|order| (order.id, order)).collect();

        let mut answers = HashMap::with_capacity(lost.len());
        let mut surplus = Vec::new();
        for row in lost {
            let key = row.order.key.clone().map(|key| (row.order.user, key));
            let by_id = || by_id.get(&row.id).filter(|order| order.user == row.order.user);
            let winner = key.and_then(|key| by_key.get(&key)).or_else(by_id);
            answers.insert(
                row.id,
                winner.map_or_else(|| Err(unanswered()), |winner| answer_with(winner, row.order)),
            );
            if !row.failed && winner.is_some_and(|winner| winner.id != row.id) {
                surplus.push(Effect { order: row.id, kind: EffectKind::Return });
            }
        }
        if !surplus.is_empty() {
            crash_point!("create::lost");
            if let Err(error) = self.stock.settle(surplus).await {
                tracing::warn!(%error, "a second reservation under one key is left to the sweeper");
            }
            crash_point!("create::returned");
        }
        Ok(answers)
    }
}

fn request(order: OrderId, new: &NewOrder) -> ReservationRequest {
    ReservationRequest { order, user: new.user, key: new.key.clone(), lines: new.lines.clone() }
}

fn key_of(request: &NewOrder) -> Option<Key<'_>> {
    Some((request.user, request.key.as_ref()?))
}

/// The requests that have no answer yet, those of one key together: the first of each group is carried out, the others
/// share its order.
fn open_groups(requests: &[NewOrder], answers: &[Option<Answer>]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut by_key: HashMap<Key<'_>, usize> = HashMap::new();
    for (index, request) in requests.iter().enumerate().filter(|(index, _)| answers[*index].is_none()) {
        let own = groups.len();
        let group = key_of(request).map_or(own, |key| *by_key.entry(key).or_insert(own));
        if group == own {
            groups.push(Vec::new());
        }
        groups[group].push(index);
    }
    groups
}

/// What a request is told whose key has led to `order`.
pub(super) fn answer_with(order: &Order, request: &NewOrder) -> Answer {
    if order.lines != request.lines {
        Err(OrderError::KeyReused { order: order.id })
    } else if order.status == OrderStatus::Failed {
        Err(OrderError::OutOfStock { order: order.id })
    } else {
        Ok(order.id)
    }
}

/// What the leader's answer says about a request of its group; `None` when nothing: that the key stands for other items
/// than the leader's leaves open whether it stands for the request's.
fn answer_beside(leader: &NewOrder, answer: &Answer, request: &NewOrder) -> Option<Answer> {
    if leader.lines == request.lines {
        return Some(answer.clone());
    }
    match answer {
        Ok(order) | Err(OrderError::OutOfStock { order }) => {
            Some(Err(OrderError::KeyReused { order: *order }))
        }
        Err(OrderError::KeyReused { .. }) => None,
        other => Some(other.clone()),
    }
}

/// The number of shards was changed between two attempts under one key, and the user has another shard now.
fn elsewhere(order: OrderId) -> OrderError {
    OrderError::Unavailable { reason: format!("the key holds stock for order {order} of another shard") }
}

fn unanswered() -> OrderError {
    OrderError::Unavailable { reason: "the order was there and then was not".to_owned() }
}
