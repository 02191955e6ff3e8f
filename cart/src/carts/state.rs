//! The stored row of one user, and a change to it.

use std::time::Duration;

use crate::checkout::Intent;
use crate::domain::{Cart, UserId};
use crate::idempotency::{IdempotencyKey, KeyedRequest, StoredAnswer};

/// The row of a user, with the open checkout if there is one. Without a row: version 0 and empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredCart {
    /// Raised by one with every change, those to the intent and to the keys included.
    pub version: i64,
    /// The lines.
    pub cart: Cart,
    /// The checkout whose outcome is not settled.
    pub intent: Option<Intent>,
}

/// A row, and what is stored under the key that was asked for, in one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The row.
    pub stored: StoredCart,
    /// The answer under the key.
    pub answer: Option<StoredAnswer>,
}

/// What a write does to the open checkout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IntentChange {
    /// Nothing.
    #[default]
    Keep,
    /// Begins a checkout.
    Open(Intent),
    /// Changes the one that is open.
    Update {
        /// The checkout after the change.
        intent: Intent,
        /// How long nobody asks about it again; `None` leaves that as it was.
        rest: Option<Duration>,
    },
    /// Ends the one that is open.
    Close,
}

/// A change to a user's row, all of it or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The lines after it.
    pub cart: Cart,
    /// What becomes of the open checkout.
    pub intent: IntentChange,
    /// The answers to remember with it.
    pub answers: Vec<(IdempotencyKey, StoredAnswer)>,
}

impl Change {
    /// Only the lines change.
    pub fn of(cart: Cart) -> Self {
        Self { cart, intent: IntentChange::Keep, answers: Vec::new() }
    }

    /// Remembers that `request`, which is no checkout, was done.
    #[must_use]
    pub fn answering(mut self, request: Option<&KeyedRequest>) -> Self {
        self.answers.extend(request.map(|KeyedRequest { key, request }| {
            (key.clone(), StoredAnswer { request: request.clone(), order: None })
        }));
        self
    }
}

impl StoredCart {
    /// What stands after `change`.
    #[must_use]
    pub fn after(self, change: Change) -> Self {
        let intent = match change.intent {
            IntentChange::Keep => self.intent,
            IntentChange::Open(intent) | IntentChange::Update { intent, .. } => Some(intent),
            IntentChange::Close => None,
        };
        Self { version: self.version + 1, cart: change.cart, intent }
    }
}

/// A change to the row of `user`, decided on its `version`.
#[derive(Clone, Debug)]
pub struct Write {
    /// Whose row.
    pub user: UserId,
    /// The version that the change was decided on.
    pub version: i64,
    /// What changes.
    pub change: Change,
}

/// What became of a [`Write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is durable.
    Committed,
    /// Nothing changed: the version is another one by now.
    Stale,
}

/// The checkouts of one shard whose outcome is not known yet.
pub struct OpenCheckouts {
    /// How many there are.
    pub count: i64,
    /// The users of some that are due to be asked about.
    pub due: Vec<UserId>,
}
