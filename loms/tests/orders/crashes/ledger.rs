//! The calls that clients made and the answers that they received.

use std::collections::{BTreeMap, BTreeSet};

/// One create under a key.
#[derive(Clone, Debug)]
pub struct Asked {
    pub user: u32,
    pub items: Vec<(u32, u32)>,
    pub told: Told,
}

/// What the client knows about a create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: the create was not answered.
    Unknown,
    Created(i64),
    OutOfStock,
}

/// Everything that clients know.
#[derive(Debug, Default)]
pub struct Ledger {
    pub creates: BTreeMap<String, Asked>,
    /// Orders that were created without a key.
    pub unkeyed: BTreeSet<i64>,
    pub paid: BTreeSet<i64>,
    pub cancelled: BTreeSet<i64>,
    pub not_payable: BTreeSet<i64>,
    pub not_cancellable: BTreeSet<i64>,
    /// Restocks by key: SKU, pieces, and whether they were confirmed.
    pub restocks: BTreeMap<String, (u32, i64, bool)>,
    /// Answers that cannot be true.
    pub contradictions: Vec<String>,
    next: u64,
}

impl Ledger {
    /// An unused name.
    pub fn name(&mut self) -> String {
        self.next += 1;
        format!("key {}", self.next)
    }

    /// Records the answer to a create under a key. Two different answers are a contradiction.
    pub fn told(&mut self, key: &str, told: Told) {
        let Some(asked) = self.creates.get_mut(key) else { return };
        if asked.told != Told::Unknown && told != Told::Unknown && asked.told != told {
            self.contradictions.push(format!("{key} was answered {:?}, then {told:?}", asked.told));
        }
        if asked.told == Told::Unknown {
            asked.told = told;
        }
    }

    /// The number of changes that were confirmed to clients.
    pub fn confirmed(&self) -> usize {
        let created = self.creates.values().filter(|asked| asked.told != Told::Unknown).count();
        let restocked = self.restocks.values().filter(|(_, _, confirmed)| *confirmed).count();
        created + self.unkeyed.len() + self.paid.len() + self.cancelled.len() + restocked
    }
}
