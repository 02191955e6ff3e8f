//! The stock: how much of each SKU there is, how much is reserved, and for which orders. It is on
//! shard 0.
//!
//! One file per command: `reserve` uses `decide` over locked rows, `settle` ends reservations
//! according to their `effect`, `restock`, and `available`. Nothing here depends on the table
//! of orders.

mod available;
mod decide;
mod effect;
mod handle;
mod queries;
mod reserve;
mod restock;
mod settle;
mod shard;

use crate::domain::{Restock, Sku, StockError, StockLevel};

pub use decide::{Reservation, ReservationRequest};
pub use effect::{Effect, EffectKind, Settlement};
pub use handle::StockHandle;
pub(crate) use queries::OpenSince;

/// The stock, as the front-ends see it. Cheap to clone.
#[derive(Clone)]
pub struct Stocks(StockHandle);

impl Stocks {
    /// Creates the use cases of the stock behind `handle`.
    pub const fn new(handle: StockHandle) -> Self {
        Self(handle)
    }

    /// Returns how many pieces of `sku` are left to reserve.
    ///
    /// # Errors
    /// `NotFound`, `Overloaded`, `Unavailable`, `DeadlineExceeded`.
    pub async fn available(&self, sku: Sku) -> Result<u64, StockError> {
        self.0.available(sku).await
    }

    /// Adds pieces to the stock of a SKU, creating the SKU if necessary, or removes pieces. Returns
    /// the level right after the change. A retry with the same key gets the answer of the first
    /// call.
    ///
    /// # Errors
    /// `NotFound` if pieces are removed from an unknown SKU. `Reserved`.
    /// `KeyReused`. `Invalid` if the total would be too large. `Overloaded` if
    /// nothing happened. After `Unavailable` and `DeadlineExceeded` the outcome is unknown: retry
    /// with the same key.
    pub async fn restock(&self, restock: Restock) -> Result<StockLevel, StockError> {
        self.0.restock(restock).await
    }
}
