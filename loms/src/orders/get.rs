//! The command to read the current state of an order: one query per batch, on the primary.

use service_kit::database::DatabaseError;
use shared_actors::actor::{BatchLimits, Command, Commit};

use super::queries;
use super::shard::{OrderShard, READ_LIMITS};
use crate::domain::{Order, OrderError, OrderId};

/// Reads an order.
pub(super) struct GetOrder(pub OrderId);

impl Command for GetOrder {
    type Output = Order;
    type Error = OrderError;
    const NAME: &'static str = "get_order";
}

impl Commit<GetOrder> for OrderShard {
    fn limits(&self) -> BatchLimits {
        READ_LIMITS
    }

    async fn commit(&self, batch: Vec<GetOrder>) -> Vec<Result<Order, OrderError>> {
        let ids: Vec<i64> = batch.iter().map(|GetOrder(id)| id.get()).collect();
        match queries::find(&self.primary, &ids).await.map_err(DatabaseError::from) {
            Ok(found) => {
                let answer = |GetOrder(id): &GetOrder| {
                    let order = found.get(id).ok_or(OrderError::NotFound(*id))?;
                    Ok(order.clone()?)
                };
                batch.iter().map(answer).collect()
            }
            Err(error) => vec![Err(error.into()); batch.len()],
        }
    }
}
