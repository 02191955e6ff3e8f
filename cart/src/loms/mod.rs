//! loms as the cart sees it: how many pieces can be sold, and an order for a cart.

mod client;
mod error;

/// What `proto/loms.proto` says, generated.
#[allow(clippy::pedantic, missing_docs)]
mod wire {
    tonic::include_proto!("_");
}

pub use client::{Loms, LomsSettings};
pub use error::LomsError;
