//! Every statement about orders, on the orders' shard.

mod changes;
mod create;
mod effects;
mod keys;
mod read;

pub(super) use changes::{Change, change_states};
pub(crate) use create::InsertedRow;
pub(super) use create::{find_by_keys, insert, next_ids};
pub(crate) use effects::late_effects;
pub(super) use effects::{delete_effects, effects_of};
pub(crate) use keys::forget_keys;
pub(super) use read::{find, log_position, page, replica_lag};
pub(crate) use read::{not_failed, unpaid};
