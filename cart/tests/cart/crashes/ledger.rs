//! What the clients did, and what they were told.

use std::collections::{BTreeMap, HashMap, HashSet};

/// One request of one user.
#[derive(Clone, Debug)]
pub enum Action {
    /// Each addition has a key, so that a repeated one counts once.
    Add {
        sku: u32,
        count: u32,
        key: String,
    },
    Remove {
        sku: u32,
    },
    Clear,
    Checkout {
        key: Option<String>,
    },
    Show,
}

/// Pieces by SKU.
pub type Pieces = BTreeMap<i64, i64>;

#[derive(Debug, Default)]
pub struct Ledger {
    /// The pieces that each user was told to have added.
    pub added: HashMap<i64, Pieces>,
    /// The orders that were answered to each user.
    pub orders: HashMap<i64, Vec<i64>>,
    /// The orders that were answered under each key.
    pub keys: HashMap<String, i64>,
    /// The requests that are not answered yet.
    pub open: Vec<(i64, Action)>,
    /// How many requests to remove a SKU were sent for each user, answered or not.
    pub removals: HashMap<(i64, i64), usize>,
    /// Orders that were never returned, because something was added before a client retried.
    pub superseded: HashSet<i64>,
    /// Answers that contradict each other.
    pub contradictions: Vec<String>,
    /// How many changes were confirmed.
    pub confirmed: usize,
    named: u64,
}

impl Ledger {
    /// A new key.
    pub fn name(&mut self) -> String {
        self.named += 1;
        format!("key {}", self.named)
    }

    /// The request is sent.
    pub fn sent(&mut self, user: i64, action: &Action, skus: &[u32]) {
        let mut count = |sku: u32| *self.removals.entry((user, sku.into())).or_default() += 1;
        match action {
            Action::Remove { sku } => count(*sku),
            Action::Clear => skus.iter().for_each(|sku| count(*sku)),
            Action::Add { .. } | Action::Checkout { .. } | Action::Show => {}
        }
    }

    /// The request was done. `order` is the answer to a checkout.
    pub fn done(&mut self, user: i64, action: &Action, order: Option<i64>) {
        self.confirmed += usize::from(!matches!(action, Action::Show));
        match action {
            Action::Add { sku, count, .. } => {
                *self.added.entry(user).or_default().entry((*sku).into()).or_default() +=
                    i64::from(*count);
            }
            Action::Checkout { key } => {
                let order = order.unwrap();
                self.orders.entry(user).or_default().push(order);
                if let Some(key) = key
                    && let Some(other) = self.keys.insert(key.clone(), order)
                    && other != order
                {
                    self.contradictions.push(format!("{key} was answered {other} and {order}"));
                }
            }
            Action::Remove { .. } | Action::Clear | Action::Show => {}
        }
    }
}
