//! The cart service, driven over REST like its clients do, on real `PostgreSQL` and Redis. The two
//! services that it depends on are stand-ins.

#![allow(clippy::unwrap_used, reason = "a test fails by its panic")]

mod support;

mod carts;
mod checkout;
mod crash;
mod crashes;
mod faults;
mod history;
mod idempotency;
mod input;
mod instances;
mod lost_answers;
mod overload;
mod product_service;
mod products;
mod removals;
mod rows;
mod time_limits;
mod unusable_answers;
mod verify;
