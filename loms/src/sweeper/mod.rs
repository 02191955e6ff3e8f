//! What time and crashes leave behind, put right: orders that nobody paid, stock that was not settled, reservations
//! without an order, keys that nobody asks for any more.
//!
//! A pass does a bounded part of what there is; the next one goes on from there. Every step is safe beside other
//! instances that do the same, and safe to be cut off anywhere.

mod cursor;
mod keys;
mod metrics;
mod payments;
mod reservations;
mod settlements;
mod task;

pub use task::{SweeperParts, start};

/// The most pages that a step takes per pass, so that no step delays the others. One that takes them all answers
/// [`Pass::More`](shared_actors::actor::Pass::More).
const PAGES: usize = 20;
