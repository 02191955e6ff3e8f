//! All statements about orders. They run on the shard of the orders.

mod changes;
mod create;
mod effects;
mod keys;
mod read;
mod servers;

pub(super) use changes::{Change, Changed, States, change_states, states_of};
pub(crate) use create::InsertedRow;
pub(super) use create::{Inserted, find_by_keys, insert, next_ids};
pub(crate) use effects::late_effects;
pub(super) use effects::{delete_effects, effects_of, set_aside};
pub(crate) use keys::forget_keys;
pub(super) use read::{ShardPage, find, page};
pub(crate) use read::{not_failed, unpaid};
pub(super) use servers::{
    Lineage, LogPosition, ReplicaState, check_writable, log_position, replica_state,
};
