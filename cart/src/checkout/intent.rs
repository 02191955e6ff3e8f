//! The intent of a checkout.

use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::domain::Cart;
use crate::idempotency::IdempotencyKey;

/// What a user asked to order. Stands in the database until the outcome is known and settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The idempotency key of the order at loms.
    pub id: Uuid,
    /// What is ordered; never empty.
    pub ordered: Cart,
    /// The key of the request that began the checkout, under which its answer is to be stored whoever settles it.
    pub key: Option<IdempotencyKey>,
}

impl Intent {
    /// A new intent to order the whole of `cart`.
    pub fn new(cart: &Cart, key: Option<IdempotencyKey>) -> Self {
        Self { id: Uuid::now_v7(), ordered: cart.clone(), key }
    }

    /// How long ago it was made, by the clock of the instance that made it; zero when that goes ahead of ours.
    pub fn age(&self) -> Duration {
        let made = self.id.get_timestamp().map(|timestamp| {
            let (seconds, nanoseconds) = timestamp.to_unix();
            SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds)
        });
        made.and_then(|made| made.elapsed().ok()).unwrap_or_default()
    }
}

/// The canonical line of a checkout request, as idempotency keys remember it.
pub const REQUEST: &str = "POST /cart/checkout";
