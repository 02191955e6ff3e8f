//! The stored row of one user, and the changes to it.

use std::time::Duration;

use crate::checkout::Intent;
use crate::domain::{Cart, OrderId, UserId};
use crate::idempotency::{IdempotencyKey, KeyedRequest, StoredAnswer};

/// The row of a user, with the open checkout if there is one. A user without a row has version 0
/// and an empty cart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredCart {
    /// Incremented by every change, including changes to the intent and to the keys.
    pub version: i64,
    /// The lines.
    pub cart: Cart,
    /// The checkout that is not settled yet.
    pub intent: Option<Intent>,
    /// The order of the last checkout, if its client may not have received it.
    pub unreported: Option<OrderId>,
}

/// A row, and the answer stored under the requested key, from one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The row.
    pub stored: StoredCart,
    /// The answer that is stored under the key.
    pub answer: Option<StoredAnswer>,
}

/// What a write does to the open checkout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IntentChange {
    /// Nothing.
    #[default]
    Keep,
    /// Opens a checkout.
    Open(Intent),
    /// Updates the open checkout.
    Update {
        /// The checkout after the change.
        intent: Intent,
        /// How long loms is not asked about it again; `None` leaves the time unchanged.
        rest: Option<Duration>,
    },
    /// Ends the open checkout.
    Close,
}

/// An atomic change to a user's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The lines after the change.
    pub cart: Cart,
    /// The change to the open checkout.
    pub intent: IntentChange,
    /// [`StoredCart::unreported`] after the change.
    pub unreported: Option<OrderId>,
    /// The answers to store together with the change.
    pub answers: Vec<(IdempotencyKey, StoredAnswer)>,
}

impl Change {
    /// A change that leaves everything as it is in `stored`.
    pub fn none(stored: &StoredCart) -> Self {
        let (cart, unreported) = (stored.cart.clone(), stored.unreported);
        Self { cart, intent: IntentChange::Keep, unreported, answers: Vec::new() }
    }

    /// Stores that `request`, which is not a checkout, was done.
    #[must_use]
    pub fn answering(mut self, request: Option<&KeyedRequest>) -> Self {
        self.answers.extend(request.map(|KeyedRequest { key, request }| {
            (key.clone(), StoredAnswer { request: request.clone(), order: None })
        }));
        self
    }
}

impl StoredCart {
    /// The row after `change`.
    #[must_use]
    pub fn after(self, change: Change) -> Self {
        let intent = match change.intent {
            IntentChange::Keep => self.intent,
            IntentChange::Open(intent) | IntentChange::Update { intent, .. } => Some(intent),
            IntentChange::Close => None,
        };
        Self { version: self.version + 1, cart: change.cart, intent, unreported: change.unreported }
    }
}

/// A change to the row of `user`, decided on its `version`.
#[derive(Clone, Debug)]
pub struct Write {
    /// The user whose row changes.
    pub user: UserId,
    /// The version that the change was decided on.
    pub version: i64,
    /// What changes.
    pub change: Change,
}

/// How a [`Write`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The change is durable.
    Committed,
    /// Nothing changed, because the row has another version by now.
    Stale,
}

/// The open checkouts of one shard.
pub struct OpenCheckouts {
    /// How many there are.
    pub count: i64,
    /// Users with a checkout that is due to be asked about, possibly not all of them.
    pub due: Vec<UserId>,
}
