//! Stock: how much of each SKU is there, how much of it is reserved, and for whom. It is kept on shard 0.
//!
//! One file per command: [`reserve`], which decides in [`decide`] over locked rows; [`settle`], which ends reservations as
//! their [`effect`] says; [`restock`]; [`available`]. Nothing here knows the table of orders.

mod available;
mod decide;
mod effect;
mod handle;
mod queries;
mod reserve;
mod restock;
mod settle;
mod shard;

use crate::domain::{OrderError, Restock, Sku, StockLevel};

pub use decide::{Reservation, ReservationRequest};
pub use effect::{Effect, EffectKind, Settlement};
pub use handle::StockHandle;
pub(crate) use queries::OpenSince;

/// The stock, as the front-ends see it.
#[derive(Clone)]
pub struct Stocks(StockHandle);

impl Stocks {
    /// The use cases of the stock behind `handle`.
    pub const fn new(handle: StockHandle) -> Self {
        Self(handle)
    }

    /// How many pieces of `sku` are left to reserve.
    ///
    /// # Errors
    /// `SkuNotFound`, `Overloaded`, `Unavailable`, `DeadlineExceeded`.
    pub async fn available(&self, sku: Sku) -> Result<u64, OrderError> {
        self.0.available(sku).await
    }

    /// Adds pieces to the stock of a SKU, which is new if need be, or takes some away; answers what there was right
    /// after. A key that was used before gets the answer of that time.
    ///
    /// # Errors
    /// `SkuNotFound`, when pieces are to go that nobody has; `StockReserved`; `RestockKeyReused`; `Overloaded`, when nothing
    /// happened; `Unavailable` and `DeadlineExceeded`, when that is unknown: ask again with the same key.
    pub async fn restock(&self, restock: Restock) -> Result<StockLevel, OrderError> {
        self.0.restock(restock).await
    }
}
