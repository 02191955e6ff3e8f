//! All statements about stock and reservations. They run on shard 0.

mod reservations;
mod restock;

pub(crate) use reservations::{OpenReservation, OpenSince};
pub(super) use reservations::{
    Progress, available, find_by_keys, held_by, lock_stock, open_since, reserve,
    reserve_from_plenty, settle,
};
pub(super) use restock::{add_sku, find_restock, lock_level, restock};
