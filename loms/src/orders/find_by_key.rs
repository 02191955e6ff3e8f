//! The command to find the order that was created under a user's idempotency key: one query per
//! batch, on the primary.

use service_kit::database::DatabaseError;
use shared_actors::actor::{BatchLimits, Command, Commit};

use super::queries;
use super::shard::{OrderShard, READ_LIMITS};
use crate::domain::{Failure, IdempotencyKey, Order, UserId};

/// Finds the order with this key.
pub(super) struct FindByKey(pub UserId, pub IdempotencyKey);

impl Command for FindByKey {
    type Output = Option<Order>;
    type Error = Failure;
    const NAME: &'static str = "find_by_key";
}

impl Commit<FindByKey> for OrderShard {
    fn limits(&self) -> BatchLimits {
        READ_LIMITS
    }

    async fn commit(&self, batch: Vec<FindByKey>) -> Vec<Result<Option<Order>, Failure>> {
        let keys: Vec<(UserId, IdempotencyKey)> =
            batch.into_iter().map(|FindByKey(user, key)| (user, key)).collect();
        let wanted: Vec<(UserId, &IdempotencyKey)> =
            keys.iter().map(|(user, key)| (*user, key)).collect();
        match queries::find_by_keys(&self.primary, &wanted).await.map_err(DatabaseError::from) {
            Ok(found) => keys.iter().map(|key| found.get(key).cloned().transpose()).collect(),
            Err(error) => vec![Err(error.into()); keys.len()],
        }
    }
}
