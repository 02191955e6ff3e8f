//! Whether the primary of a shard answers: what it cannot serve is refused at once, and no stock is held for it.
//!
//! The primary is asked once a second over a connection of its own: while it is silent, no question about it may fill a
//! pool.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use shared_actors::database::DatabaseError;
use shared_actors::shard::ShardIndex;
use tokio::time::{Instant, timeout};

use super::queries;
use super::shard::OrderShard;
use crate::domain::OrderError;

/// A primary that does not answer for so long is away.
pub(super) const SILENT_AFTER: Duration = Duration::from_secs(2);

/// For how long after an answer of the primary stock is reserved without asking it again.
const PROVEN_FOR: Duration = Duration::from_millis(100);

/// What is known of the primary.
pub(super) struct Pulse {
    shard: ShardIndex,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    away: bool,
    /// When it last answered a statement of a workflow.
    answered: Option<Instant>,
}

impl Pulse {
    pub fn new(shard: ShardIndex) -> Self {
        Self { shard, state: Mutex::default() }
    }

    /// Whether the primary is known not to answer.
    pub fn is_away(&self) -> bool {
        self.state(|state| state.away)
    }

    /// Refuses what only the primary can serve while it is away.
    pub fn check(&self) -> Result<(), OrderError> {
        if self.is_away() { Err(away()) } else { Ok(()) }
    }

    /// The primary has answered a statement.
    pub fn beat(&self) {
        self.state(|state| state.answered = Some(Instant::now()));
    }

    fn beat_just_now(&self) -> bool {
        self.state(|state| state.answered.is_some_and(|answered| answered.elapsed() < PROVEN_FOR))
    }

    /// Takes in what became of a question to the primary: an answer, an error, or nothing in time.
    pub fn heard(&self, failure: Option<&Failure>) {
        let away = failure.is_some_and(Failure::is_away);
        if self.state(|state| std::mem::replace(&mut state.away, away)) == away {
            return;
        }
        match failure {
            Some(reason) if away => {
                tracing::error!(shard = %self.shard, %reason, "the primary is down: calls fail at once");
            }
            _ => tracing::info!(shard = %self.shard, "the primary is back"),
        }
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Why a server did not answer a question about itself.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no answer in time")]
    Silent,
    #[error(transparent)]
    Failed(#[from] sqlx::Error),
}

impl Failure {
    /// Whether nobody can expect the server to serve statements. One that refuses a login may have served others.
    fn is_away(&self) -> bool {
        let Self::Failed(error) = self else { return true };
        match error {
            sqlx::Error::Database(error) => {
                // It starts or stops, or it is a primary no more.
                error.code().is_some_and(|code| code.starts_with("57P") || code == "55000")
            }
            sqlx::Error::Io(_) => true,
            _ => false,
        }
    }
}

impl OrderShard {
    /// Makes sure that the primary answers, so that what is reserved next can be written down.
    pub(super) async fn prove(&self) -> Result<(), OrderError> {
        self.pulse.check()?;
        if self.pulse.beat_just_now() {
            return Ok(());
        }
        let answer = timeout(SILENT_AFTER, queries::answer(&self.primary)).await.map_err(|_| away())?;
        answer.map_err(DatabaseError::from)?;
        self.pulse.beat();
        Ok(())
    }
}

pub(super) fn away() -> OrderError {
    OrderError::Unavailable { reason: "the primary of the shard does not answer".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(kind: std::io::ErrorKind) -> Failure {
        Failure::Failed(sqlx::Error::Io(kind.into()))
    }

    #[test]
    fn a_primary_is_away_from_its_first_refusal_to_its_next_answer() {
        let pulse = Pulse::new(ShardIndex::new(1));
        assert!(!pulse.is_away() && pulse.check().is_ok());
        for failure in [
            io(std::io::ErrorKind::ConnectionRefused),
            io(std::io::ErrorKind::ConnectionReset),
            Failure::Silent,
        ] {
            pulse.heard(Some(&failure));
            assert!(pulse.is_away() && pulse.check().is_err(), "{failure}");
            pulse.heard(None);
            assert!(!pulse.is_away());
        }
        pulse.heard(Some(&Failure::Failed(sqlx::Error::PoolTimedOut)));
        assert!(!pulse.is_away());
    }

    #[test]
    fn only_an_answer_of_just_now_proves_anything() {
        let pulse = Pulse::new(ShardIndex::new(1));
        assert!(!pulse.beat_just_now());
        pulse.beat();
        assert!(pulse.beat_just_now());
    }
}
