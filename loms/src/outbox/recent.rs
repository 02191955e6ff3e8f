//! The events that this instance has just committed, so that the relay need not read them back.
//!
//! The rows of the outbox decide what is published, and in which order. This holds copies of what
//! some of the rows refer to. A row without a copy is read from the database.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::event::OrderEvent;

/// Maximum number of events. At about 500 bytes each, they take up to 10 MB.
const CAPACITY: usize = 20_000;

/// A row of the outbox that was committed, with its events in order.
pub(crate) struct CommittedRow {
    /// The id of the row.
    pub id: i64,
    /// Its events, in the order of the row.
    pub events: Vec<OrderEvent>,
}

/// Copies of events by the id of their row.
#[derive(Default)]
pub(super) struct RecentEvents(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    rows: HashMap<i64, Vec<OrderEvent>>,
    events: usize,
    /// Whether this instance publishes the events of the shard.
    is_wanted: bool,
}

impl RecentEvents {
    /// Keeps copies from now on, or forgets all and keeps none.
    pub fn want(&self, is_wanted: bool) {
        *self.recent() = Recent { is_wanted, ..Recent::default() };
    }

    /// Keeps a copy of a row. If there is no place for it, all copies are forgotten: they are of
    /// rows that cannot be published now.
    pub fn keep(&self, CommittedRow { id, events }: CommittedRow) {
        let mut recent = self.recent();
        if !recent.is_wanted || events.len() > CAPACITY {
            return;
        }
        if recent.events + events.len() > CAPACITY {
            (recent.rows, recent.events) = (HashMap::new(), 0);
        }
        recent.events += events.len();
        recent.rows.insert(id, events);
    }

    /// Takes the copy of a row, if there is one and it has these orders and sequences.
    pub fn take(&self, id: i64, orders: &[i64], sequences: &[i32]) -> Option<Vec<OrderEvent>> {
        let mut recent = self.recent();
        let events = recent.rows.remove(&id)?;
        recent.events -= events.len();
        let keys = events.iter().map(|event| (&event.order, &event.sequence));
        keys.eq(orders.iter().zip(sequences)).then_some(events)
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::*;

    fn event(order: i64, sequence: i32) -> OrderEvent {
        OrderEvent {
            order,
            sequence,
            state: "NEW".to_owned(),
            event_id: Uuid::nil(),
            occurred_at: DateTime::UNIX_EPOCH,
            traceparent: None,
            user: 7,
            skus: vec![1002],
            counts: vec![1],
        }
    }

    fn wanted() -> RecentEvents {
        let recent = RecentEvents::default();
        recent.want(true);
        recent
    }

    #[test]
    fn a_copy_is_taken_once_and_only_for_the_row_that_it_is_of() {
        let recent = wanted();
        let row = || CommittedRow { id: 5, events: vec![event(1000, 1), event(1000, 2)] };
        recent.keep(row());
        assert!(recent.take(4, &[1000, 1000], &[1, 2]).is_none());
        assert_eq!(recent.take(5, &[1000, 1000], &[1, 2]).map(|events| events.len()), Some(2));
        assert!(recent.take(5, &[1000, 1000], &[1, 2]).is_none());
        recent.keep(row());
        assert!(recent.take(5, &[1000, 2000], &[1, 2]).is_none(), "other events");
    }

    #[test]
    fn nothing_is_kept_for_another_instance_or_beyond_the_capacity() {
        let recent = RecentEvents::default();
        recent.keep(CommittedRow { id: 1, events: vec![event(1000, 1)] });
        assert!(recent.take(1, &[1000], &[1]).is_none());

        let recent = wanted();
        recent.keep(CommittedRow { id: 1, events: vec![event(1000, 1); CAPACITY] });
        recent.keep(CommittedRow { id: 2, events: vec![event(1000, 1)] });
        assert!(recent.take(1, &vec![1000; CAPACITY], &vec![1; CAPACITY]).is_none());
        assert!(recent.take(2, &[1000], &[1]).is_some());
    }
}
