//! What time and crashes leave behind, put right: orders that nobody paid, stock that was not settled, reservations
//! without an order, keys that nobody asks for any more.
//!
//! Every step is safe beside other instances that do the same, and safe to be cut off anywhere.

mod actor;
mod cursor;
mod keys;
mod metrics;
mod payments;
mod reservations;
mod settlements;

pub use actor::{SweeperHandle, SweeperParts};
