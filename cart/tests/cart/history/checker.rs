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

/// The search gives up after this many states.
const MAX_STATES: usize = 2_000_000;

/// Whether some order of the events explains all answers. `None` if that would take too long to find
/// out.
pub fn is_linearizable(events: &[Event]) -> Option<bool> {
    if events.len() >= 128 {
        return None;
    }
    // An event that was answered is tried before one that may never have happened.
    let mut events = events.to_vec();
    events.sort_by_key(|event| event.answer.is_none());
    let answered = events.iter().filter(|event| event.answer.is_some()).count();
    let all = (1 << answered) - 1;
    let mut search = Search { events: &events, all, seen: HashSet::new() };
    let found = search.explains(0, &CartSpec::default());
    (found || search.seen.len() < MAX_STATES).then_some(found)
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
        let mut unanswered: Vec<&Op> = Vec::new();
        for (nth, event) in left.filter(|(_, event)| event.began < first_answer) {
            // Of several unanswered requests that want the same, any one will do.
            if event.answer.is_none() {
                if unanswered.contains(&&event.op) {
                    continue;
                }
                unanswered.push(&event.op);
            }
            let mut next = cart.clone();
            let is_possible = if let Some((_, answer)) = &event.answer {
                next.answers(&event.op, answer)
            } else {
                next.happens(&event.op);
                next != *cart
            };
            let done = done | 1 << nth;
            if is_possible
                && self.seen.len() < MAX_STATES
                && self.seen.insert((done, next.clone()))
                && self.explains(done, &next)
            {
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
        is_linearizable(&steps.iter().enumerate().map(event).collect::<Vec<_>>()).unwrap()
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
        let is_linearizable = |events: &[Event]| is_linearizable(events).unwrap();
        assert!(is_linearizable(&[shows(0, 0), unanswered.clone(), shows(4, 0), shows(6, 2)]));
        assert!(is_linearizable(&[shows(0, 0), unanswered.clone(), shows(4, 0)]));
        assert!(!is_linearizable(&[shows(0, 2), unanswered.clone()]));
        assert!(!is_linearizable(&[unanswered, shows(4, 2), shows(6, 0)]));
    }
}
