//! A stand-in for the product service, which belongs to another team and has no instance for local
//! runs.
//!
//! It follows the service's contract but enforces only the token. A test may slow it down or make
//! it fail.

mod catalogue;
mod controls;
mod server;

pub use catalogue::{Product, product};
pub use controls::{Call, Controls, Failure};
pub use server::{ProductStandIn, TOKEN, serve};
