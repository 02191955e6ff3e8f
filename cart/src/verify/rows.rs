//! Checks the rows of one database of cart by themselves.

use service_kit::shard::ShardRouter;
use service_kit::verify::{Check, Finding, Invariant, ReadError, Snapshot};

use super::queries::{self, ANSWERS, CARTS, CHECKOUTS};

static LINES: Invariant = Invariant {
    name: "cart-lines-valid",
    says: "the lines of a cart are in ascending order of SKU, at most 1,000, each with 1 to 65,535 pieces",
    checked: "carts",
    ids: "users",
};

static ORDERED: Invariant = Invariant {
    name: "checkout-lines-valid",
    says: "the lines of a checkout obey the same rules as those of a cart, and there is at least one",
    checked: "open checkouts",
    ids: "users",
};

static OWNED: Invariant = Invariant {
    name: "checkout-has-cart",
    says: "a user with an open checkout has a cart",
    checked: "open checkouts",
    ids: "users",
};

static LEAVING: Invariant = Invariant {
    name: "checkout-takes-what-it-orders",
    says: "an open checkout takes no more pieces from the cart than it orders",
    checked: "open checkouts",
    ids: "users",
};

static THERE: Invariant = Invariant {
    name: "checkout-takes-what-is-there",
    says: "the pieces that an open checkout takes from the cart are in the cart",
    checked: "open checkouts",
    ids: "users",
};

static ANSWERED: Invariant = Invariant {
    name: "answer-valid",
    says: "a stored answer is for an addition and has no order, or is for a checkout and has one",
    checked: "stored answers",
    ids: "users",
};

static PLACES: Invariant = Invariant {
    name: "cart-on-users-shard",
    says: "carts and stored answers are on the shard of their user",
    checked: "users",
    ids: "users",
};

/// The checks for each shard that run in SQL.
pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(&LINES, CARTS, queries::carts_with_wrong_lines()),
        Check::new(&ORDERED, CHECKOUTS, queries::checkouts_with_wrong_lines()),
        Check::new(&OWNED, CHECKOUTS, queries::CHECKOUTS_WITHOUT_CART),
        Check::new(&LEAVING, CHECKOUTS, queries::CHECKOUTS_TAKING_TOO_MUCH),
        Check::new(&THERE, CHECKOUTS, queries::CHECKOUTS_TAKING_WHAT_IS_NOT_THERE),
        Check::new(&ANSWERED, ANSWERS, queries::WRONG_ANSWERS),
    ]
}

/// The database cannot compute the hash of a user, so users are read.
pub(super) async fn places(cart: &mut Snapshot, router: ShardRouter) -> Result<Finding, ReadError> {
    let (shard, mut finding) = (cart.shard, Finding::of(&PLACES));
    let mut last = i64::MIN;
    loop {
        let users = cart.read(async |connection| queries::users(connection, last).await).await?;
        let Some(highest) = users.last() else { return Ok(finding) };
        last = *highest;
        finding.checked += users.len() as u64;
        for user in users.into_iter().filter(|user| router.shard_of_user(*user) != shard) {
            finding.violated_by(user);
        }
    }
}
