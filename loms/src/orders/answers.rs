//! The answers to the requests of one batch. Requests with one key are answered together, by what the key has led to.

use std::collections::HashMap;

use crate::domain::{IdempotencyKey, Lines, NewOrder, Order, OrderError, OrderId, OrderStatus, UserId};

pub(super) type Answer = Result<OrderId, OrderError>;
pub(super) type Key<'a> = (UserId, &'a IdempotencyKey);

/// What an attempt at an order led to.
pub(super) enum Outcome {
    Answered(Answer),
    /// The key stands for an order with other lines, where those can be read.
    Reused {
        order: OrderId,
        lines: Option<Lines>,
    },
    /// An earlier attempt under the key had been given up, and holds nothing any more.
    GivenUp,
}

pub(super) fn key_of(request: &NewOrder) -> Option<Key<'_>> {
    Some((request.user, request.key.as_ref()?))
}

/// The requests that have no answer yet, those of one key together: the first of each group is carried out, the others
/// share its order.
pub(super) fn open_groups(requests: &[NewOrder], answers: &[Option<Answer>]) -> Vec<Vec<usize>> {
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

/// What the leader's outcome says about a request of its group; `None` when it has to be attempted itself.
pub(super) fn answer_beside(leader: &NewOrder, outcome: &Outcome, request: &NewOrder) -> Option<Answer> {
    let reused = |order: OrderId| Some(Err(OrderError::KeyReused { order }));
    match outcome {
        Outcome::GivenUp => None,
        Outcome::Reused { lines: Some(lines), .. } if *lines == request.lines => None,
        Outcome::Answered(answer) if leader.lines == request.lines => Some(answer.clone()),
        Outcome::Reused { order, .. }
        | Outcome::Answered(Ok(order) | Err(OrderError::OutOfStock { order, .. })) => reused(*order),
        Outcome::Answered(failure) => Some(failure.clone()),
    }
}

/// The number of shards was changed between two attempts under one key, and the user has another shard now.
pub(super) fn elsewhere(order: OrderId) -> OrderError {
    OrderError::Unavailable { reason: format!("the key holds stock for order {order} of another shard") }
}

pub(super) fn unanswered() -> OrderError {
    OrderError::Unavailable { reason: "the order was there and then was not".to_owned() }
}

/// The attempt took so long that its order was given up, and stands as failed.
pub(super) fn too_late(order: OrderId) -> OrderError {
    OrderError::Unavailable { reason: format!("order {order} was given up before it was written down") }
}

pub(super) fn contended() -> OrderError {
    OrderError::Unavailable { reason: "others used the key again and again".to_owned() }
}
