//! The client of loms: how many pieces can be sold, and an order for a cart.

mod client;
mod error;
mod stock;

pub use client::{Loms, LomsSettings};
pub use error::LomsError;
pub use stock::StockHandle;
