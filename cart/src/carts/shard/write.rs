//! The command that changes a cart: one statement per batch.

use shared_actors::actor::{BatchLimits, Command, Commit};

use super::super::queries;
use super::super::state::{Write, Written};
use super::{CartShard, LIMITS, each};
use crate::domain::CartError;

/// The maximum number of cart lines that one statement writes.
const MAX_LINES_OF_BATCH: usize = 4_000;

/// Make a change if its version is the next one.
pub(super) struct WriteCart(pub Write);

impl Command for WriteCart {
    type Output = Written;
    type Error = CartError;
    const NAME: &'static str = "write_cart";
}

impl Commit<WriteCart> for CartShard {
    fn limits(&self) -> BatchLimits {
        BatchLimits { weight: MAX_LINES_OF_BATCH, ..LIMITS }
    }

    fn weight(WriteCart(write): &WriteCart) -> usize {
        write.change.cart.len().max(1)
    }

    async fn commit(&self, batch: Vec<WriteCart>) -> Vec<Result<Written, CartError>> {
        let writes: Vec<_> = batch.into_iter().map(|WriteCart(write)| write).collect();
        each(writes.len(), queries::write(&self.pool, &writes, self.key_ttl).await)
    }
}
