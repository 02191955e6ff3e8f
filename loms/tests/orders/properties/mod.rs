//! What holds for every sequence of commands, whoever sends them and however they are batched.
//!
//! [`model`] is the shop as it ought to be: no batches, no databases, one command after the other. The properties compare
//! the application that ships, on real databases, with it:
//!
//! - [`one_by_one`]: commands that wait for each other get exactly the answers of the model, and leave its state behind.
//! - [`batches`]: commands that are sent together, at two instances, get answers that they would have got in *some* order
//!   one by one, and leave behind what that order leaves behind.
//! - [`changes`]: changes of orders in every state that travel in one batch get what they would get one by one in the order
//!   in which they came.
//!
//! A case that fails is made smaller, printed, and kept beside this test's `main.rs` so that it is tried first the next time.

mod batches;
mod changes;
mod commands;
mod linear;
mod model;
mod one_by_one;
mod stage;

use proptest::test_runner::Config;

/// So many cases: each waits for the disk a few dozen times. A case that fails is made smaller for a minute at the most.
fn cases(cases: u32) -> Config {
    Config { cases, max_shrink_time: 60_000, ..Config::default() }
}
