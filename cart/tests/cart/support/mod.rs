//! A shop around one or more cart services: private databases, the product stand-in, and a stand-in
//! for loms.

mod loms;
mod shop;

pub use loms::{Fate, LomsStandIn};
pub use shop::{Client, Reply, Shop};

use std::time::Duration;

/// How long a test waits for an expected result.
pub const SOON: Duration = Duration::from_secs(20);

pub use dev::testing::eventually;
