//! The command that changes a cart: one statement per batch.

use service_kit::database::DatabaseError;
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
        self.write(&writes).await
    }
}

impl CartShard {
    /// Makes the changes together where possible. The database may refuse one, for example by a
    /// rule that an operator has added. It must not fail the others, so the changes are halved
    /// until it is alone.
    async fn write(&self, writes: &[Write]) -> Vec<Result<Written, CartError>> {
        let mut answers = Vec::with_capacity(writes.len());
        let mut parts = vec![writes];
        while let Some(part) = parts.pop() {
            let written = queries::write(&self.pool, part, self.key_ttl).await;
            match &written {
                Err(error) if part.len() > 1 && is_refused(error) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                _ => answers.extend(each(part.len(), written)),
            }
        }
        answers
    }
}

/// Whether the database refuses at least one of the changes, and has made none of them. The
/// violation of a constraint lasts; a lost race does not.
fn is_refused(error: &DatabaseError) -> bool {
    error.changed_nothing() && (error.constraint().is_some() || !error.is_transient())
}
