//! The command to read how much of a SKU is left: one query per batch.

use std::collections::HashSet;

use service_kit::database::DatabaseError;
use shared_actors::actor::{BatchLimits, Command, Commit};

use super::queries;
use super::shard::StockShard;
use crate::domain::{Failure, Sku, StockError};

/// Returns how many pieces are left to reserve.
pub(super) struct GetAvailable(pub Sku);

impl Command for GetAvailable {
    type Output = u64;
    type Error = StockError;
    const NAME: &'static str = "get_stock";
}

impl Commit<GetAvailable> for StockShard {
    fn limits(&self) -> BatchLimits {
        // While one batch waits for the database, another one runs.
        BatchLimits { concurrency: 2, ..BatchLimits::default() }
    }

    async fn commit(&self, batch: Vec<GetAvailable>) -> Vec<Result<u64, StockError>> {
        let skus: HashSet<i64> = batch.iter().map(|GetAvailable(sku)| i64::from(*sku)).collect();
        let skus: Vec<i64> = skus.into_iter().collect();
        match queries::available(&self.pool, &skus).await.map_err(DatabaseError::from) {
            Ok(available) => {
                let left = |GetAvailable(sku): &GetAvailable| {
                    let left = available.get(sku).ok_or(StockError::NotFound(*sku))?;
                    u64::try_from(*left)
                        .map_err(|_| Failure::internal(format!("{left} left of sku {sku}")).into())
                };
                batch.iter().map(left).collect()
            }
            Err(error) => vec![Err(error.into()); batch.len()],
        }
    }
}
