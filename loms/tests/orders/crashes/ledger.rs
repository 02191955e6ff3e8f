//! What clients asked for and what they were told.

use std::collections::{BTreeMap, BTreeSet};

/// One create under a key.
#[derive(Clone, Debug)]
pub struct Asked {
    pub user: u32,
    pub items: Vec<(u32, u32)>,
    pub told: Told,
}

/// What the client knows of a create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: it was not answered.
    Unknown,
    Created(i64),
    OutOfStock,
}

/// All that clients know.
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
    /// What was told that cannot be true.
    pub contradictions: Vec<String>,
    next: u64,
}

impl Ledger {
    /// A name that nobody has used.
    pub fn name(&mut self) -> String {
        self.next += 1;
        format!("key {}", self.next)
    }

    /// Writes down what a create under a key was told; the truth never changes.
    pub fn told(&mut self, key: &str, told: Told) {
        let Some(asked) = self.creates.get_mut(key) else { return };
        if asked.told != Told::Unknown && told != Told::Unknown && asked.told != told {
            self.contradictions.push(format!("{key} was answered {:?}, then {told:?}", asked.told));
        }
        if asked.told == Told::Unknown {
            asked.told = told;
        }
    }

    /// How many changes were confirmed to clients.
    pub fn confirmed(&self) -> usize {
        let created = self.creates.values().filter(|asked| asked.told != Told::Unknown).count();
        let restocked = self.restocks.values().filter(|(_, _, confirmed)| *confirmed).count();
        created + self.unkeyed.len() + self.paid.len() + self.cancelled.len() + restocked
    }
}
