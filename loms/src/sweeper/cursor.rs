//! How far a sweep over open reservations has progressed.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// A reservation's timestamp is the start of its transaction. A reservation that commits later than
/// the grace after that appears behind the cursor. The sweep finds it after this time at the
/// latest.
const START_OVER: Duration = Duration::from_mins(5);

/// The last reservation that was checked. It and earlier ones are not checked again until the
/// cursor starts over. Whether a reservation has an order no longer changes once it is older than
/// the longest transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub created_at: DateTime<Utc>,
    pub order: i64,
    started: Instant,
}

impl Cursor {
    /// A cursor before the first reservation.
    pub const fn start(now: Instant) -> Self {
        Self { created_at: DateTime::UNIX_EPOCH, order: 0, started: now }
    }

    /// Moves the cursor to this reservation.
    pub const fn advance(&mut self, created_at: DateTime<Utc>, order: i64) {
        self.created_at = created_at;
        self.order = order;
    }

    /// Moves the cursor back to the start if it last started long enough ago.
    pub fn start_over_when_due(&mut self, now: Instant) {
        if now.duration_since(self.started) >= START_OVER {
            *self = Self::start(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_passed_is_looked_at_again_after_a_while() {
        let start = Instant::now();
        let mut cursor = Cursor::start(start);
        cursor.advance(Utc::now(), 7);
        cursor.start_over_when_due(start + START_OVER / 2);
        assert_eq!(cursor.order, 7);
        cursor.start_over_when_due(start + START_OVER);
        assert_eq!((cursor.created_at, cursor.order), (DateTime::UNIX_EPOCH, 0));
        cursor.advance(Utc::now(), 8);
        cursor.start_over_when_due(start + START_OVER * 3 / 2);
        assert_eq!(cursor.order, 8);
    }
}
