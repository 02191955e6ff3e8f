//! The whole shop from outside: the shipping binaries, on real servers, called as clients call
//! them.
//!
//! Most tests share one running shop and use their own users, SKUs and orders. A test that stops
//! something or needs other settings starts its own services. The tests do not depend on how a
//! service is implemented.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by its panic, and so does a helper of tests"
)]

mod support;

mod browser;
mod cart;
mod events;
mod faults;
mod gateway;
mod loms;
mod operations;
mod prometheus;
mod security;
mod traces;
