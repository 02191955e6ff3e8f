//! The events that this instance has just committed, so that the relay need not read them back.
//!
//! The rows of the outbox decide what is published, and in which order. This holds copies of what
//! some of the rows refer to. A row without a copy is read from the database.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::event::OrderEvent;

/// Maximum weight of all copies. An event weighs as much as sixteen lines and its own lines. A line
/// takes 16 bytes, so all copies take about 10 MB.
const CAPACITY: usize = 600_000;

fn weight(events: &[OrderEvent]) -> usize {
    events.iter().map(|event| 16 + event.skus.len()).sum()
}

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
    rows: BTreeMap<i64, Vec<OrderEvent>>,
    weight: usize,
    /// Whether this instance publishes the events of the shard.
    is_wanted: bool,
}

impl RecentEvents {
    /// Keeps copies from now on, or forgets all and keeps none.
    pub fn want(&self, is_wanted: bool) {
        *self.recent() = Recent { is_wanted, ..Recent::default() };
    }

    /// Keeps a copy of a row. If there is no place for it, all copies are forgotten, and the rows
    /// are read from the database.
    pub fn keep(&self, CommittedRow { id, events }: CommittedRow) {
        let (mut recent, added) = (self.recent(), weight(&events));
        if !recent.is_wanted || added > CAPACITY {
            return;
        }
        if recent.weight + added > CAPACITY {
            (recent.rows, recent.weight) = (BTreeMap::new(), 0);
        }
        recent.weight += added;
        recent.rows.insert(id, events);
    }

    /// Forgets the copies of rows before `first`, which have left the outbox.
    pub fn forget_before(&self, first: i64) {
        let mut recent = self.recent();
        let left = recent.rows.split_off(&first);
        let gone = std::mem::replace(&mut recent.rows, left);
        recent.weight -= gone.values().map(|events| weight(events)).sum::<usize>();
    }

    /// Takes the copy of a row, if there is one and it has these orders and sequences.
    pub fn take(&self, id: i64, orders: &[i64], sequences: &[i32]) -> Option<Vec<OrderEvent>> {
        let mut recent = self.recent();
        let events = recent.rows.remove(&id)?;
        recent.weight -= weight(&events);
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
        let large = OrderEvent { skus: vec![1; CAPACITY / 2], ..event(1000, 1) };
        recent.keep(CommittedRow { id: 1, events: vec![large.clone()] });
        recent.keep(CommittedRow { id: 2, events: vec![large] });
        assert!(recent.take(1, &[1000], &[1]).is_none());
        assert!(recent.take(2, &[1000], &[1]).is_some());
        assert_eq!(recent.recent().weight, 0);
    }

    #[test]
    fn copies_of_rows_that_have_left_the_outbox_are_forgotten() {
        let recent = wanted();
        for id in 1..=3 {
            recent.keep(CommittedRow { id, events: vec![event(1000, 1)] });
        }
        recent.forget_before(3);
        assert!(recent.take(2, &[1000], &[1]).is_none());
        assert!(recent.take(3, &[1000], &[1]).is_some());
        assert_eq!(recent.recent().weight, 0);
    }
}
