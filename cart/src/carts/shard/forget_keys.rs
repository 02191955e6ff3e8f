//! The command that deletes expired idempotency keys.

use shared_actors::actor::{BatchLimits, Command, Commit, one_by_one};

use super::super::queries;
use super::{CartShard, reported};
use crate::domain::CartError;

/// Delete up to `limit` expired keys. The answer is how many were deleted.
pub(super) struct ForgetKeys {
    pub limit: u32,
}

impl Command for ForgetKeys {
    type Output = u64;
    type Error = CartError;
    const NAME: &'static str = "forget_keys";
}

impl Commit<ForgetKeys> for CartShard {
    fn limits(&self) -> BatchLimits {
        BatchLimits::ONE_BY_ONE
    }

    async fn commit(&self, batch: Vec<ForgetKeys>) -> Vec<Result<u64, CartError>> {
        one_by_one(batch, async |ForgetKeys { limit }| {
            queries::forget_keys(&self.pool, self.key_ttl, limit).await.map_err(reported)
        })
        .await
    }
}
