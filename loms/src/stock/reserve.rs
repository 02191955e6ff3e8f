//! The command to reserve stock for orders: lock the rows, decide, write. One transaction per
//! batch.

use std::collections::BTreeSet;

use service_kit::database::observe;
use shared_actors::actor::{BatchLimits, Command, Commit};
use shared_actors::crash_point;

use super::decide::{ByKey, Reservation, ReservationRequest, decide};
use super::queries;
use super::shard::{MAX_LINES_OF_BATCH, StockShard};
use crate::domain::Failure;
use crate::retry::after_conflict;

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
        let _turn = self.turn.lock().await;
        // A conflict means that another instance reserved under one of the keys in the meantime.
        // The retry finds that reservation.
        match after_conflict(|| self.reserve(&requests)).await {
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
