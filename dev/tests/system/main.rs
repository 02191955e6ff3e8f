//! The whole shop from outside: the binaries that ship, on real servers, asked as clients ask them.
//!
//! Most tests share one running shop and keep out of each other's way by users, SKUs and orders of their own; whoever
//! stops something or needs other settings starts services of its own. Nothing here knows how a service is made.
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
mod traces;
