//! The answers to the requests of one batch. Requests with the same key are answered together, by
//! the outcome of that key.

use std::collections::HashMap;

use crate::domain::{
    Failure, IdempotencyKey, Lines, NewOrder, Order, OrderError, OrderId, OrderStatus, UserId,
};

pub(super) type Answer = Result<OrderId, OrderError>;
pub(super) type Key<'a> = (UserId, &'a IdempotencyKey);

/// The outcome of an attempt to create an order.
pub(super) enum Outcome {
    Answered(Answer),
    /// The key belongs to an order with other lines. The lines are `None` if they cannot be read.
    Reused {
        order: OrderId,
        lines: Option<Lines>,
    },
    /// An earlier attempt under the key was given up and no longer holds stock.
    GivenUp,
}

pub(super) fn key_of(request: &NewOrder) -> Option<Key<'_>> {
    Some((request.user, request.key.as_ref()?))
}

/// Groups the unanswered requests by key. The first request of each group is carried out; the
/// others share its order.
pub(super) fn open_groups(requests: &[NewOrder], answers: &[Option<Answer>]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut by_key: HashMap<Key<'_>, usize> = HashMap::new();
    for (index, request) in
        requests.iter().enumerate().filter(|(index, _)| answers[*index].is_none())
    {
        let own = groups.len();
        let group = key_of(request).map_or(own, |key| *by_key.entry(key).or_insert(own));
        if group == own {
            groups.push(Vec::new());
        }
        groups[group].push(index);
    }
    groups
}

/// The answer to a request whose key led to `order`.
pub(super) fn answer_with(order: &Order, request: &NewOrder) -> Answer {
    if order.lines != request.lines {
        Err(OrderError::KeyReused { order: order.id })
    } else if order.status == OrderStatus::Failed {
        Err(OrderError::OutOfStock { order: order.id, shortages: Vec::new() })
    } else {
        Ok(order.id)
    }
}

pub(super) fn outcome_with(order: &Order, request: &NewOrder) -> Outcome {
    if order.lines == request.lines {
        Outcome::Answered(answer_with(order, request))
    } else {
        Outcome::Reused { order: order.id, lines: Some(order.lines.clone()) }
    }
}

/// The answer that the leader's outcome implies for a request of its group. `None` if the request
/// needs an attempt of its own.
pub(super) fn answer_beside(
    leader: &NewOrder,
    outcome: &Outcome,
    request: &NewOrder,
) -> Option<Answer> {
    let reused = |order: OrderId| Some(Err(OrderError::KeyReused { order }));
    match outcome {
        Outcome::GivenUp => None,
        Outcome::Reused { lines: Some(lines), .. } if *lines == request.lines => None,
        Outcome::Answered(answer) if leader.lines == request.lines => Some(answer.clone()),
        Outcome::Reused { order, .. }
        | Outcome::Answered(Ok(order) | Err(OrderError::OutOfStock { order, .. })) => {
            reused(*order)
        }
        Outcome::Answered(failure) => Some(failure.clone()),
    }
}

/// The number of shards changed between two attempts under one key, and the user now belongs to
/// another shard.
pub(super) fn elsewhere(order: OrderId) -> OrderError {
    let reason = format!("the key holds stock for order {order} of another shard");
    Failure::unavailable(reason).into()
}

pub(super) fn unanswered() -> OrderError {
    Failure::unavailable("the conflicting order was not found").into()
}

/// The attempt took so long that its order was given up and recorded as failed.
pub(super) fn too_late(order: OrderId) -> OrderError {
    Failure::unavailable(format!("order {order} was given up before it was written")).into()
}

pub(super) fn contended() -> OrderError {
    Failure::unavailable("other requests kept using the same key").into()
}
