//! A stand-in for the product service, which is not ours and has no instance for local runs.
//!
//! It answers as the contract says and enforces nothing but the token; a test may make it slow or make it fail.

mod catalogue;
mod controls;
mod server;

pub use catalogue::{Product, product};
pub use controls::{Call, Controls};
pub use server::{ProductStandIn, TOKEN, serve};
