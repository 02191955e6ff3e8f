//! From a cart to an order, exactly once.
//!
//! 1. The intent, an id and the lines of the cart, is written in the transaction that fences the cart's version.
//! 2. loms is asked for an order under that id as its idempotency key, as often as it takes to know the outcome.
//! 3. In one transaction the ordered pieces leave the cart, the intent goes, and the answer to a keyed request is
//!    stored.
//!
//! Whatever dies in between, the intent stands until somebody has asked loms again: the user's next checkout, or
//! [`CheckoutSweeper`]. Step 1 and 3 are steps of the user's [`crate::carts::CartActor`]; step 2 runs beside it, under
//! a time limit of its own, so that the cart can be filled meanwhile.
//!
//! Asking again is claimed in the intent's row first, so that several instances do not ask at once, and an intent rests
//! after each attempt. It rests longer and longer after answers that say nothing about the order, since a loms that
//! ignores the key may have created one with each of them.

mod intent;
mod order;
mod sweeper;

pub use intent::{Asker, Intent, REQUEST, UNUSABLE_ANSWERS};
pub use order::{Outcome, place};
pub use sweeper::{CheckoutSweeper, SweepSettings};
