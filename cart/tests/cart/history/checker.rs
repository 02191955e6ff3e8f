//! The method of Wing and Gong, with the memory of Lowe, as in the checker porcupine: tries the
//! orders of all events that agree with real time, and never the same state after the same events
//! twice.

use std::collections::HashSet;

use super::spec::{CartSpec, Op, Ret};

/// A set of at most 128 events.
type Events = u128;

/// What one client saw of one event.
#[derive(Clone, Debug)]
pub struct Event {
    pub op: Op,
    pub began: usize,
    /// When the answer came, and which. `None` if there was none: the event may happen at any time
    /// after it began, or never.
    pub answer: Option<(usize, Ret)>,
}

/// Whether some order of the events explains all answers.
pub fn is_linearizable(events: &[Event]) -> bool {
    assert!(events.len() <= 128, "{} events", events.len());
    let answered = (0..).zip(events).filter(|(_, event)| event.answer.is_some());
    let all = answered.fold(0, |all, (nth, _): (u32, _)| all | 1 << nth);
    Search { events, all, seen: HashSet::new() }.explains(0, &CartSpec::default())
}

struct Search<'a> {
    events: &'a [Event],
    /// The events that must happen.
    all: Events,
    seen: HashSet<(Events, CartSpec)>,
}

impl Search<'_> {
    /// Whether the other events can follow `done`, which led to `cart`.
    fn explains(&mut self, done: Events, cart: &CartSpec) -> bool {
        if done & self.all == self.all {
            return true;
        }
        let left = (0..).zip(self.events).filter(|(nth, _): &(u32, _)| done & 1 << nth == 0);
        let answered = left.clone().filter_map(|(_, event)| event.answer.as_ref());
        let first_answer = answered.map(|(at, _)| *at).min().unwrap_or(usize::MAX);
        for (nth, event) in left.filter(|(_, event)| event.began < first_answer) {
            let mut next = cart.clone();
            let is_possible = if let Some((_, answer)) = &event.answer {
                next.answers(&event.op, answer)
            } else {
                next.happens(&event.op);
                next != *cart
            };
            let done = done | 1 << nth;
            if is_possible && self.seen.insert((done, next.clone())) && self.explains(done, &next) {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::Lines;
    use super::*;

    fn one_after_the_other(steps: &[(Op, Ret)]) -> bool {
        let event = |(nth, (op, ret)): (usize, &(Op, Ret))| Event {
            op: op.clone(),
            began: 2 * nth,
            answer: Some((2 * nth + 1, ret.clone())),
        };
        is_linearizable(&steps.iter().enumerate().map(event).collect::<Vec<_>>())
    }

    fn lines(lines: &[(u32, u32)]) -> Lines {
        lines.iter().copied().collect()
    }

    #[test]
    fn pieces_that_vanish_and_old_orders_are_noticed() {
        let add = |sku, count| (Op::Add(sku, count), Ret::Done);
        let ordered = |sku, count| Ret::Ordered(lines(&[(sku, count)]));
        let show = |all: &[(u32, u32)]| (Op::Show, Ret::Lines(lines(all)));
        let begins = (Op::Checkout, ordered(1, 2));
        let ends = (Op::Settle, ordered(1, 2));
        // Added during the checkout, and after a removal.
        let sound = [
            add(1, 2),
            begins.clone(),
            (Op::Remove(1), Ret::Done),
            add(1, 3),
            ends.clone(),
            show(&[(1, 3)]),
        ];
        assert!(one_after_the_other(&sound));
        let mut vanished = sound;
        vanished[5] = show(&[(1, 1)]);
        assert!(!one_after_the_other(&vanished));

        let repeated = [add(1, 2), begins.clone(), ends.clone(), begins.clone(), show(&[])];
        assert!(one_after_the_other(&repeated));
        let old = [add(1, 2), begins.clone(), ends.clone(), add(2, 1), begins.clone()];
        assert!(!one_after_the_other(&old));
        let old = [add(1, 2), begins.clone(), add(2, 1), begins.clone(), ends, show(&[(2, 1)])];
        assert!(!one_after_the_other(&old));
        let never_left =
            [add(1, 2), begins, show(&[(1, 2)]), (Op::Settle, ordered(1, 2)), show(&[(1, 2)])];
        assert!(!one_after_the_other(&never_left));
    }

    #[test]
    fn what_was_not_answered_may_happen_late_or_never_but_not_before_it_began() {
        let event = |op, began, answer| Event { op, began, answer };
        let shows = |began, count| {
            let all = if count == 0 { lines(&[]) } else { lines(&[(1, count)]) };
            event(Op::Show, began, Some((began + 1, Ret::Lines(all))))
        };
        let unanswered = event(Op::Add(1, 2), 2, None);
        assert!(is_linearizable(&[shows(0, 0), unanswered.clone(), shows(4, 0), shows(6, 2)]));
        assert!(is_linearizable(&[shows(0, 0), unanswered.clone(), shows(4, 0)]));
        assert!(!is_linearizable(&[shows(0, 2), unanswered.clone()]));
        assert!(!is_linearizable(&[unanswered, shows(4, 2), shows(6, 0)]));
    }
}
