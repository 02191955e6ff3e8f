//! From a cart to an order, exactly once.
//!
//! 1. The intent, an id and the lines of the cart, is written in the transaction that fences the
//!    cart's version.
//! 2. loms is asked for an order with that id as the idempotency key, until the outcome is known.
//! 3. One transaction removes the ordered pieces from the cart, deletes the intent and stores the
//!    answer to a request with a key.
//!
//! After a crash in between, the intent remains until loms is asked again, by the user's next
//! checkout or by [`CheckoutSweeper`]. The user's [`crate::carts::CartActor`] runs steps 1 and 3.
//! Step 2 runs concurrently with its own time limit, so that the cart can be filled meanwhile.
//!
//! An instance first claims the intent in the database before it asks again, so that several
//! instances do not ask at once. An intent rests after each attempt. It rests longer after each
//! answer that says nothing about the order, because a loms that ignores the key may have created
//! one.

mod intent;
mod order;
mod sweeper;

pub use intent::{Asker, Intent, REQUEST, UNUSABLE_ANSWERS};
pub use order::{Outcome, place};
pub use sweeper::{CheckoutSweeper, SweepSettings};
