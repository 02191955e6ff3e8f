//! Checks whether the primary of a shard answers. If it does not, commands fail at once and no
//! stock is reserved for them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use service_kit::database::DatabaseError;
use tokio::time::{Instant, timeout};

use super::queries;
use super::shard::OrderShard;
use crate::domain::Failure;

/// For this long after an answer of the primary, stock is reserved without checking the primary
/// again.
const PROVEN_FOR: Duration = Duration::from_millis(100);

/// How long the primary has to answer the check.
const SILENT_AFTER: Duration = Duration::from_secs(2);

/// When the primary last answered a statement of a workflow.
#[derive(Default)]
pub(super) struct Pulse(Mutex<Option<Instant>>);

impl Pulse {
    /// Records that the primary has just answered a statement.
    pub fn beat(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn beat_just_now(&self) -> bool {
        let answered = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answered.is_some_and(|answered| answered.elapsed() < PROVEN_FOR)
    }
}

impl OrderShard {
    /// Whether the primary is known to be unreachable.
    pub(super) fn is_away(&self) -> bool {
        self.primary.why_unreachable().is_some()
    }

    /// Checks that the primary answers and accepts writes, so that orders for the next reservations
    /// can be inserted.
    pub(super) async fn prove(&self) -> Result<(), Failure> {
        if self.pulse.beat_just_now() && !self.is_away() {
            return Ok(());
        }
        let answer = timeout(SILENT_AFTER, queries::check_writable(&self.primary)).await;
        answer.map_err(|_| silent())?.map_err(DatabaseError::from)?;
        self.pulse.beat();
        Ok(())
    }
}

fn silent() -> Failure {
    Failure::unavailable("the primary of the shard does not answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_just_now_proves_anything() {
        let pulse = Pulse::default();
        assert!(!pulse.beat_just_now());
        pulse.beat();
        assert!(pulse.beat_just_now());
    }
}
