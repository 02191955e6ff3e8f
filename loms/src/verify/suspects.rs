//! Reservations that a sweeper may be about to give back. They count as violations if it does not.

use std::time::Duration;

use tokio::time::sleep;

use super::error::VerifyError;
use super::queries;
use super::reservations::{Suspects, orders};
use super::snapshot::Round;
use super::standing::{Standing, standing};
use crate::settings::Settings;

/// How often suspects are checked again. Between two checks, every instance has time to sweep.
const LOOKS: u32 = 5;
const SHORTEST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How many suspects are checked together.
const CHUNK: usize = 1000;

/// Waits for sweepers, and returns the suspects that still exist without being legitimate.
pub(super) async fn recheck(
    settings: &Settings,
    mut suspects: Suspects,
) -> Result<Suspects, VerifyError> {
    for _ in 0..LOOKS {
        if suspects.is_empty() {
            break;
        }
        sleep(settings.sweep_interval.clamp(SHORTEST_WAIT, LONGEST_WAIT)).await;
        let mut round = Round::begin(settings).await?;
        suspects = still_late(&mut round, &suspects, settings.reservation_grace).await?;
        round.end().await;
    }
    Ok(suspects)
}

async fn still_late(
    round: &mut Round,
    suspects: &Suspects,
    grace: Duration,
) -> Result<Suspects, VerifyError> {
    let mut late = Suspects::new();
    let ids: Vec<i64> = suspects.keys().copied().collect();
    for ids in ids.chunks(CHUNK) {
        let before = orders(round.router, &mut round.before, ids, grace).await?;
        let held = round
            .stock
            .read(async |connection| queries::held_by(connection, ids, grace).await)
            .await?;
        for reservation in held {
            match standing(&reservation, before.get(&reservation.order)) {
                Standing::Owned | Standing::Open(_) => {}
                Standing::Late(invariant) | Standing::Wrong(invariant) => {
                    late.insert(reservation.order, invariant);
                }
            }
        }
    }
    Ok(late)
}
