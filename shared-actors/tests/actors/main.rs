//! What the actor layer promises to its users, each promise as a test.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod deadlines;
mod group_commit;
mod handles;
mod keyed;
mod shutdown;
mod support;
