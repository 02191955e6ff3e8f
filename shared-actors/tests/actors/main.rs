//! The guarantees of the actor layer, one test for each.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod deadlines;
mod group_commit;
mod handles;
mod keyed;
mod shutdown;
mod support;
