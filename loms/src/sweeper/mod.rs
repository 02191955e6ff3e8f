//! Repairs what expiry and crashes leave: unpaid orders, unsettled stock, reservations without an
//! order, expired keys.
//!
//! A pass does a bounded amount of work, and the next one continues from there. Every step is safe
//! to run concurrently with other instances, and safe to interrupt at any point.

mod cursor;
mod keys;
mod metrics;
mod payments;
mod reservations;
mod settlements;
mod task;

pub use task::{SweeperParts, start};

/// Maximum number of pages per step and pass, so that no step delays the others. A step that uses
/// all of them returns [`Pass::More`](shared_actors::actor::Pass::More).
const PAGES: usize = 20;
