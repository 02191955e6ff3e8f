//! The client of loms: how many pieces can be sold, and an order for a cart.

mod client;
mod error;

/// The code generated from `proto/loms.proto`.
#[allow(clippy::pedantic, missing_docs)]
mod wire {
    tonic::include_proto!("_");
}

pub use client::{Loms, LomsSettings};
pub use error::LomsError;
