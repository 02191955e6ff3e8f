//! The intent of a checkout.

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
}

/// The canonical line of a checkout request, as idempotency keys remember it.
pub const REQUEST: &str = "POST /cart/checkout";
