//! All statements of `loms verify`. None of them writes or takes a lock.

mod crossings;
mod local;

use sqlx::FromRow;
use sqlx::postgres::PgConnection;

pub(super) use crossings::{
    Content, OrderNow, PaidOrder, Pieces, Reservation, StockRow, add, awaiting, held_by, orders,
    paid, paid_lately, reservations, stock,
};
pub(super) use local::{
    CHANGES, DUPLICATE_EVENT_IDS, EFFECTS, EVENTS, GAPS, HELD, KEYED, LOST_CHANGES,
    MISPLACED_EFFECTS, ORDERS, OTHER_SEQUENCES, OTHER_STATES, OUT_OF_BOUNDS, REFUSED_EFFECTS,
    SECOND_KEYS, SKUS, UNSEEDED, WRONG_LINES, foreign_ids, illegal_steps, lost_events,
    misordered_events, repeated_events, strange_events, ungiven_ids, users,
};

/// A database's record of its place among the shards.
#[derive(FromRow)]
pub(super) struct Place {
    /// The shard that it is. `None` if it has never been used.
    pub shard: Option<i32>,
    /// The number of shards that orders have been written to, as far as this database knows.
    pub known_shards: i32,
}

const PLACE: &str = "
SELECT (SELECT shard FROM shard_identity) AS shard,
    (SELECT coalesce(max(shards), 0) FROM shard_layouts) AS known_shards";

pub(super) async fn place(connection: &mut PgConnection) -> Result<Place, sqlx::Error> {
    sqlx::query_as(PLACE).fetch_one(connection).await
}
