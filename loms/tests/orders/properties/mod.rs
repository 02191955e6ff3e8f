//! Properties that hold for every sequence of commands, regardless of senders and batches.
//!
//! [`model`] is a reference model of the shop: no batches, no databases, one command after the
//! other. The properties compare the shipping application, on real databases, with the model:
//!
//! - [`one_by_one`]: commands that wait for each other get exactly the model's answers. They also
//!   leave the databases in the model's state.
//! - [`batches`]: commands are sent together, at two instances. Their answers and the final state
//!   are those of *some* sequential order.
//! - [`changes`]: changes of orders in every state are executed in one batch. Each gets the answer
//!   that it would get if they were executed one by one in the order of their arrival.
//!
//! A failing case is shrunk, printed, and saved beside this test's `main.rs`. The next run tries it
//! first.

mod batches;
mod changes;
mod commands;
mod linear;
mod model;
mod one_by_one;
mod stage;

use proptest::test_runner::Config;

/// Runs only this many cases, because each waits for the disk a few dozen times. A failing case is
/// shrunk for at most one minute.
fn cases(cases: u32) -> Config {
    Config { cases, max_shrink_time: 60_000, ..Config::default() }
}
