//! What time and crashes leave behind, put right: orders that nobody paid, stock that was not settled, reservations
//! without an order, keys that nobody asks for any more.
//!
//! A pass does a bounded part of what there is; the next one goes on from there. Every step is safe beside other
//! instances that do the same, and safe to be cut off anywhere.

mod actor;
mod cursor;
mod keys;
mod metrics;
mod payments;
mod reservations;
mod settlements;

pub use actor::{SweeperHandle, SweeperParts};

/// The most pages that a step takes per pass, so that no step delays the others.
const PAGES: usize = 20;

/// What a step leaves for the next pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Nothing that could be done now.
    Nothing,
    /// There may be more: it took all the pages that one pass may.
    More,
}
