//! Whether concurrent commands have an equivalent sequential order.

use std::collections::HashSet;

use loms::domain::{OrderError, OrderId};

use super::commands::{Answer, Command};
use super::model::Model;
use crate::shop::id;

/// The id of the order that this answer names, unless the model already has it.
pub fn new_order(answer: &Answer, model: &Model) -> Option<OrderId> {
    match answer {
        Answer::Created(order) | Answer::Refused(OrderError::OutOfStock { order, .. }) => {
            (!model.orders.contains_key(order)).then_some(*order)
        }
        _ => None,
    }
}

/// Searches for an order of the commands in which the model answers each one as the shop did.
/// Returns the model after them. Returns `None` if there is no such order: then the answers
/// contradict each other or the model.
///
/// The answer of a command determines what the command does. Every order of the same set of
/// commands therefore leads to the same model, and the search visits each set once.
pub fn explain(model: &Model, told: &[(Command, Answer)]) -> Option<Model> {
    assert!(told.len() < 32, "a set of commands is a number of 32 bits");
    search(model.clone(), told, 0, &mut HashSet::new())
}

fn search(
    model: Model,
    told: &[(Command, Answer)],
    done: u32,
    seen: &mut HashSet<u32>,
) -> Option<Model> {
    if done.count_ones() as usize == told.len() {
        return Some(model);
    }
    for (index, (command, answer)) in told.iter().enumerate() {
        let next = done | 1 << index;
        if next == done || seen.contains(&next) {
            continue;
        }
        let fresh = new_order(answer, &model).unwrap_or(id(i64::MAX));
        let mut after = model.clone();
        if after.answer(command, fresh) == *answer {
            seen.insert(next);
            if let Some(end) = search(after, told, next, seen) {
                return Some(end);
            }
        }
    }
    None
}
