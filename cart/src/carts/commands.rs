//! The commands to a user's cart.

use service_kit::settings::Secret;
use shared_actors::actor::Command;

use crate::checkout::Asker;
use crate::domain::{CartError, OrderId, Quantity, Sku};
use crate::idempotency::{Claim, KeyedRequest};

/// A request with a key, and the claim that keeps the key busy until the request is done.
#[derive(Debug)]
pub struct Keyed {
    /// The request.
    pub request: KeyedRequest,
    /// Dropping it frees the key.
    pub claim: Claim,
}

/// Adds pieces of a product to the cart.
#[derive(Debug)]
pub struct AddItem {
    /// The product to add.
    pub sku: Sku,
    /// How many pieces to add.
    pub count: Quantity,
    /// How many pieces can be sold.
    pub available: u64,
    /// The key of the request, if it has one.
    pub keyed: Option<Keyed>,
}

/// Removes a line if it exists.
#[derive(Debug)]
pub struct RemoveItem {
    /// The line's SKU.
    pub sku: Sku,
}

/// Removes all lines.
#[derive(Debug)]
pub struct ClearCart;

/// Orders the contents of the cart. An open checkout is settled first.
#[derive(Debug)]
pub struct Checkout {
    /// The key of the request, if it has one.
    pub keyed: Option<Keyed>,
    /// Who asks: only a user starts a new checkout.
    pub asker: Asker,
    /// The token of the user, which loms checks too. `None` if callers need none.
    pub token: Option<Secret>,
}

impl Checkout {
    /// A user's checkout.
    pub fn new(keyed: Option<Keyed>, token: Option<Secret>) -> Self {
        Self { keyed, asker: Asker::User, token }
    }

    /// Settles the open checkout and starts no new one.
    pub fn open_one() -> Self {
        Self { keyed: None, asker: Asker::Sweeper, token: None }
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
