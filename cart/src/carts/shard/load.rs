//! The command that reads a cart: one query per batch.

use service_kit::error::{ErrorCode, log_failure};
use shared_actors::actor::{BatchLimits, Command, Commit};

use super::super::metrics::unreadable;
use super::super::{Loaded, queries};
use super::{CartShard, READ_LIMITS, each};
use crate::domain::{CartError, UserId};
use crate::idempotency::IdempotencyKey;

/// Read the row of `user`, and the answer stored under `key`.
pub(super) struct LoadCart {
    pub user: UserId,
    pub key: Option<IdempotencyKey>,
}

impl Command for LoadCart {
    type Output = Loaded;
    type Error = CartError;
    const NAME: &'static str = "load_cart";
}

impl Commit<LoadCart> for CartShard {
    fn limits(&self) -> BatchLimits {
        READ_LIMITS
    }

    async fn commit(&self, batch: Vec<LoadCart>) -> Vec<Result<Loaded, CartError>> {
        let asked: Vec<_> = batch.into_iter().map(|LoadCart { user, key }| (user, key)).collect();
        let rows = each(asked.len(), queries::load(&self.pool, &asked, self.key_ttl).await);
        let rows = rows.into_iter().zip(&asked);
        rows.map(|(row, (user, _))| row?.map_err(|error| undecodable(*user, &error))).collect()
    }
}

fn undecodable(user: UserId, error: &sqlx::Error) -> CartError {
    unreadable();
    let failure = format_args!("cannot decode the cart of user {user}: {error}");
    log_failure(ErrorCode::Internal, failure);
    CartError::Internal
}
