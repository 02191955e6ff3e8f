//! The command to reserve stock for orders.
//!
//! Nearly always there is enough of everything. So a batch is first decided as if there were, and
//! written by one statement, which writes nothing if that is wrong. Such a batch is decided again
//! over locked rows, in a transaction.

use std::collections::BTreeSet;
use std::time::Duration;

use service_kit::database::{DatabaseError, observe};
use shared_actors::actor::{BatchLimits, Command, Commit};
use shared_actors::crash_point;
use tokio::time::Instant;

use super::decide::{ByKey, Reservation, ReservationRequest, decide};
use super::queries;
use super::shard::{MAX_LINES_OF_BATCH, StockShard, Turn};
use crate::domain::Failure;
use crate::retry::after_conflict;

/// For this long after a batch had to be decided over locked rows, the next ones are too. Trying
/// first would be in vain while something is sold out.
const CONTESTED_FOR: Duration = Duration::from_millis(100);

/// Reserves stock for orders. Returns one [`Reservation`] per request, in the same order.
pub(super) struct Reserve(pub Vec<ReservationRequest>);

impl Command for Reserve {
    type Output = Vec<Reservation>;
    type Error = Failure;
    const NAME: &'static str = "reserve";
}

impl Commit<Reserve> for StockShard {
    fn limits(&self) -> BatchLimits {
        BatchLimits { weight: MAX_LINES_OF_BATCH.into(), ..BatchLimits::default() }
    }

    fn weight(Reserve(requests): &Reserve) -> usize {
        requests.iter().map(|request| request.lines.len()).sum()
    }

    async fn commit(&self, batch: Vec<Reserve>) -> Vec<Result<Vec<Reservation>, Failure>> {
        let sizes: Vec<usize> = batch.iter().map(|Reserve(requests)| requests.len()).collect();
        let requests: Vec<ReservationRequest> =
            batch.into_iter().flat_map(|Reserve(requests)| requests).collect();
        let mut turn = self.turn.lock().await;
        match self.reserve(&mut turn, &requests).await {
            Ok(answers) => {
                assert_eq!(answers.len(), requests.len(), "each request has an answer");
                let mut answers = answers.into_iter();
                sizes.into_iter().map(|size| Ok(answers.by_ref().take(size).collect())).collect()
            }
            Err(error) => vec![Err(error.into()); sizes.len()],
        }
    }
}

impl StockShard {
    async fn reserve(
        &self,
        turn: &mut Turn,
        requests: &[ReservationRequest],
    ) -> Result<Vec<Reservation>, DatabaseError> {
        if turn.contested.is_none_or(|contested| contested.elapsed() > CONTESTED_FOR) {
            // After a conflict, one of the keys holds stock.
            match self.reserve_from_plenty(requests).await.map_err(DatabaseError::from) {
                Ok(Some(answers)) => return Ok(answers),
                Ok(None) | Err(DatabaseError::Conflict(_)) => {
                    turn.contested = Some(Instant::now());
                }
                Err(error) => return Err(error),
            }
        }
        // A conflict means that another instance reserved under one of the keys in the meantime.
        // The retry finds that reservation.
        after_conflict(|| self.reserve_from_locked(requests)).await
    }

    /// Reserves everything in one statement. Returns `None`, and reserves nothing, if too little is
    /// left of any SKU or one of the keys already holds stock.
    async fn reserve_from_plenty(
        &self,
        requests: &[ReservationRequest],
    ) -> Result<Option<Vec<Reservation>>, sqlx::Error> {
        let lines = requests.iter().flat_map(|request| request.lines.iter());
        let plenty = lines.map(|line| (line.sku, i64::MAX)).collect();
        let decision = decide(plenty, ByKey::new(), requests);
        if !queries::reserve_from_plenty(&self.pool, requests, &decision).await? {
            return Ok(None);
        }
        crash_point!("reserve::at_once");
        Ok(Some(decision.answers))
    }

    async fn reserve_from_locked(
        &self,
        requests: &[ReservationRequest],
    ) -> Result<Vec<Reservation>, sqlx::Error> {
        let lines = requests.iter().flat_map(|request| request.lines.iter());
        let skus: BTreeSet<i64> = lines.map(|line| i64::from(line.sku)).collect();
        let skus: Vec<i64> = skus.into_iter().collect();
        let keys: Vec<_> = requests
            .iter()
            .filter_map(|request| Some((request.user, request.key.as_ref()?)))
            .collect();

        let mut transaction = observe("begin", self.pool.begin()).await?;
        let available = queries::lock_stock(&mut transaction, &skus).await?;
        crash_point!("reserve::locked");
        // Read after taking the locks: their previous holder may have reserved under one of these
        // keys.
        let by_key = if keys.is_empty() {
            ByKey::new()
        } else {
            queries::find_by_keys(&mut transaction, &keys).await?
        };
        let decision = decide(available, by_key, requests);
        if !decision.granted.is_empty() {
            queries::reserve(&mut transaction, requests, &decision).await?;
            crash_point!("reserve::written");
        }
        observe("commit", transaction.commit()).await?;
        crash_point!("reserve::committed");
        Ok(decision.answers)
    }
}
