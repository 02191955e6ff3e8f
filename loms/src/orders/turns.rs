//! Limits how many lists are gathered at once.

use std::sync::Arc;
use std::time::Duration;

use shared_actors::deadline;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use crate::domain::Failure;

/// Maximum number of lists gathered at once. Each is kept in memory until it is complete.
const AT_ONCE: usize = 4;
/// Maximum number of lists that wait for their turn.
const WAITING: usize = 64;
/// How long a list waits for its turn, unless the request has an earlier deadline.
const PATIENCE: Duration = Duration::from_secs(10);
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The turns for lists, shared by all front-ends. Cheap to clone.
#[derive(Clone)]
pub(super) struct ListTurns {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

/// The right to gather a list. Dropping it ends the turn.
#[derive(Debug)]
pub struct ListTurn {
    _place: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

impl Default for ListTurns {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl ListTurns {
    pub async fn take(&self) -> Result<ListTurn, Failure> {
        let full = |_| Failure::Overloaded { retry_after: RETRY_AFTER };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(full)?;
        let turn =
            timeout_at(deadline::within(PATIENCE), Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| Failure::DeadlineExceeded)?;
        let turn = turn.map_err(|closed| Failure::internal(closed.to_string()))?;
        Ok(ListTurn { _place: place, _turn: turn })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn some_have_their_turn_some_wait_and_the_others_are_refused() {
        let turns = ListTurns::default();
        let mut taken = Vec::new();
        for _ in 0..AT_ONCE {
            taken.push(turns.take().await.unwrap());
        }
        let waiting: Vec<_> = (0..WAITING)
            .map(|_| {
                tokio::spawn({
                    let turns = turns.clone();
                    async move { turns.take().await.map(drop) }
                })
            })
            .collect();
        while turns.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(matches!(turns.take().await, Err(Failure::Overloaded { .. })));
        drop(taken);
        for waited in waiting {
            waited.await.unwrap().unwrap();
        }
    }
}
