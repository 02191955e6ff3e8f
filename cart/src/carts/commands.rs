//! What a user's cart can be told.

use shared_actors::actor::Command;

use crate::checkout::Asker;
use crate::domain::{CartError, OrderId, Quantity, Sku};
use crate::idempotency::{Claim, KeyedRequest};

/// A request with a key, and the claim that keeps the key busy until the request is done.
#[derive(Debug)]
pub struct Keyed {
    /// The request.
    pub request: KeyedRequest,
    /// Freed when this is dropped.
    pub claim: Claim,
}

/// Adds pieces of a product to the cart.
#[derive(Debug)]
pub struct AddItem {
    /// Of what.
    pub sku: Sku,
    /// How many more.
    pub count: Quantity,
    /// How many can be sold.
    pub available: u64,
    /// The key that the request came with.
    pub keyed: Option<Keyed>,
}

/// Removes a line, if it is there.
#[derive(Debug)]
pub struct RemoveItem {
    /// The line's SKU.
    pub sku: Sku,
}

/// Removes every line.
#[derive(Debug)]
pub struct ClearCart;

/// Orders what is in the cart, or first settles the checkout that is open.
#[derive(Debug)]
pub struct Checkout {
    /// The key that the request came with.
    pub keyed: Option<Keyed>,
    /// Who wants it: only a user begins a new one.
    pub asker: Asker,
}

impl Checkout {
    /// A user's checkout.
    pub fn new(keyed: Option<Keyed>) -> Self {
        Self { keyed, asker: Asker::User }
    }

    /// Settles the open checkout and begins none.
    pub fn open_one() -> Self {
        Self { keyed: None, asker: Asker::Sweeper }
    }
}

impl Command for AddItem {
    type Output = ();
    type Error = CartError;
    const NAME: &'static str = "add_item";
}

impl Command for RemoveItem {
    type Output = ();
    type Error = CartError;
    const NAME: &'static str = "remove_item";
}

impl Command for ClearCart {
    type Output = ();
    type Error = CartError;
    const NAME: &'static str = "clear_cart";
}

impl Command for Checkout {
    type Output = OrderId;
    type Error = CartError;
    const NAME: &'static str = "checkout";
}
