//! A shop around one or more cart services: databases of its own, the product service's stand-in, a stand-in of loms.

mod loms;
mod shop;

pub use loms::{Fate, LomsStandIn};
pub use shop::{Client, Reply, Shop};

use std::time::Duration;

/// How long a test waits for what must come.
pub const SOON: Duration = Duration::from_secs(20);

pub use dev::testing::eventually;
