//! How far a sweep over open reservations has come.

use chrono::{DateTime, Utc};

/// The youngest reservation that was looked at. Younger ones are looked at once, too: whether a reservation has an order
/// does not change any more once it is older than the longest transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub created_at: DateTime<Utc>,
    pub order: i64,
}

impl Cursor {
    /// Before the first reservation.
    pub const START: Self = Self { created_at: DateTime::UNIX_EPOCH, order: 0 };
}
