//! Asks loms how many pieces can be sold. Requests that wait at the same time share one question per
//! SKU.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use shared_actors::actor::{
    ActorOptions, ArbiterHandle, AskError, BatchActor, BatchLimits, Command, Commit, Handle,
};

use super::{Loms, LomsError};
use crate::domain::Sku;

/// While loms answers some batches of questions, the next one gathers.
const LIMITS: BatchLimits = BatchLimits { commands: 64, weight: usize::MAX, concurrency: 4 };

/// How many pieces of a SKU can be sold?
struct GetAvailable(Sku);

impl Command for GetAvailable {
    type Output = u64;
    type Error = LomsError;
    const NAME: &'static str = "get_available";
}

impl From<AskError> for LomsError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded { .. } => Self::Overloaded,
            AskError::DeadlineExceeded => Self::DeadlineExceeded,
            AskError::Unavailable => Self::Unavailable,
        }
    }
}

struct StockQuestions(Loms);

impl Commit<GetAvailable> for StockQuestions {
    fn limits(&self) -> BatchLimits {
        LIMITS
    }

    async fn commit(&self, batch: Vec<GetAvailable>) -> Vec<Result<u64, LomsError>> {
        let skus: BTreeSet<Sku> = batch.iter().map(|GetAvailable(sku)| *sku).collect();
        let ask = async |sku| (sku, self.0.available(sku).await);
        let answers: BTreeMap<Sku, _> =
            join_all(skus.into_iter().map(ask)).await.into_iter().collect();
        batch.iter().map(|GetAvailable(sku)| answers[sku].clone()).collect()
    }
}

/// The handle of the actor that asks loms about stock. Cheap to clone.
#[derive(Clone)]
pub struct StockHandle(Handle<BatchActor<StockQuestions>>);

impl StockHandle {
    /// Starts the actor on `arbiter`. It holds at most `capacity` questions.
    pub fn start(loms: Loms, capacity: usize, arbiter: &ArbiterHandle) -> Self {
        let options = ActorOptions::new("stock_questions").capacity(capacity);
        Self(BatchActor::start(options, arbiter, Arc::new(StockQuestions(loms))))
    }

    /// How many pieces of `sku` can be sold; 0 if loms does not know the SKU.
    ///
    /// # Errors
    /// Those of [`Loms::available`].
    pub async fn available(&self, sku: Sku) -> Result<u64, LomsError> {
        self.0.ask(GetAvailable(sku)).await
    }

    /// Accepts no more questions, and returns when all accepted ones are answered.
    pub async fn drain(&self) {
        self.0.drain().await;
    }
}
