//! The cart service, driven over REST as its clients do, on real `PostgreSQL` and Redis, with a stand-in for each of the
//! services that it leans on.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod support;

mod carts;
mod checkout;
mod crash;
mod faults;
mod idempotency;
mod input;
mod instances;
mod products;
mod removals;
mod rows;
mod time_limits;
mod unusable_answers;
