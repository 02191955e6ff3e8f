//! What one user's cart does, request by request.

use std::collections::BTreeMap;

/// Pieces by SKU.
pub type Lines = BTreeMap<u32, u32>;

/// The moments of requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Add(u32, u32),
    Remove(u32),
    Clear,
    Show,
    /// What a checkout orders is fixed, or it joins or repeats an earlier one.
    Checkout,
    /// What was ordered leaves the cart, unless it already has.
    Settle,
}

/// What a client learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ret {
    Done,
    Lines(Lines),
    /// The lines of the order that a checkout was answered with.
    Ordered(Lines),
    /// There was nothing to check out.
    Empty,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CartSpec {
    cart: Lines,
    open: Option<Open>,
    /// The lines of the last order that was settled.
    settled: Option<Lines>,
}

/// A checkout between its two moments.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Open {
    ordered: Lines,
    /// What leaves the cart: the ordered pieces that were not removed meanwhile.
    leaving: Lines,
}

impl CartSpec {
    /// Whether the cart holds nothing but what leaves it anyway.
    fn is_all_leaving(&self, open: &Open) -> bool {
        self.cart.iter().all(|(sku, count)| open.leaving.get(sku).is_some_and(|more| more >= count))
    }

    fn begin(&mut self) {
        if self.open.is_none() && !self.cart.is_empty() {
            self.open = Some(Open { ordered: self.cart.clone(), leaving: self.cart.clone() });
        }
    }

    fn settle(&mut self) {
        let Some(Open { ordered, leaving }) = self.open.take() else { return };
        for (sku, count) in leaving {
            if let Some(held) = self.cart.get_mut(&sku) {
                *held -= count.min(*held);
            }
        }
        self.cart.retain(|_, count| *count > 0);
        self.settled = Some(ordered);
    }

    fn remove(&mut self, is_removed: impl Fn(u32) -> bool) {
        self.cart.retain(|sku, _| !is_removed(*sku));
        if let Some(open) = &mut self.open {
            open.leaving.retain(|sku, _| !is_removed(*sku));
        }
    }

    /// Whether a checkout that begins now may be answered with an order of these lines.
    fn checks_out(&mut self, lines: &Lines) -> bool {
        match &self.open {
            // It joins the open one, which takes everything that is in the cart.
            Some(open) => open.ordered == *lines && self.is_all_leaving(open),
            None if self.cart.is_empty() => self.settled.as_ref() == Some(lines),
            None => {
                self.begin();
                self.open.as_ref().is_some_and(|open| open.ordered == *lines)
            }
        }
    }
}

impl CartSpec {
    /// Lets `op` happen.
    pub fn happens(&mut self, op: &Op) {
        match op {
            Op::Add(sku, count) => *self.cart.entry(*sku).or_default() += count,
            Op::Remove(sku) => self.remove(|other| other == *sku),
            Op::Clear => self.remove(|_| true),
            Op::Show => {}
            Op::Checkout => self.begin(),
            Op::Settle => self.settle(),
        }
    }

    /// Lets `op` happen, if it may be answered like this now.
    pub fn answers(&mut self, op: &Op, answer: &Ret) -> bool {
        match (op, answer) {
            (Op::Show, Ret::Lines(lines)) => self.cart == *lines,
            (Op::Checkout, Ret::Ordered(lines)) => self.checks_out(lines),
            (Op::Checkout, Ret::Empty) => self.cart.is_empty() && self.open.is_none(),
            // The answer comes after the settlement.
            (Op::Settle, Ret::Ordered(lines)) => {
                if self.open.as_ref().is_some_and(|open| open.ordered == *lines) {
                    self.settle();
                }
                self.settled.as_ref() == Some(lines)
            }
            (Op::Settle, Ret::Empty) => true,
            (_, Ret::Done) => {
                self.happens(op);
                true
            }
            _ => false,
        }
    }
}
