//! Step 2: asks loms for the order until the outcome is known or the time is up.

use std::time::Duration;

use service_kit::error::{ErrorCode, log_failure};
use shared_actors::actor::Backoff;
use shared_actors::deadline;
use tokio::time::{Instant, sleep};
use tracing::{error, warn};

use super::Intent;
use crate::domain::{CartError, OrderId, Part, UserId};
use crate::loms::{Loms, LomsError};

const ATTEMPTS: u32 = 4;
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(50), max: Duration::from_millis(400) };
/// How long loms is asked, regardless of how long the waiting requests may take.
const LONGEST: Duration = Duration::from_secs(10);
/// How many unusable answers end the attempt: for a new intent, and for one that is asked about
/// again.
const TOLERATED: (u32, u32) = (2, 1);

/// How asking for an order ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The order exists.
    Created(OrderId),
    /// There is no usable order, and there will be none under this intent.
    Refused(CartError),
    /// The outcome is unknown: the intent must remain.
    Unknown(CartError),
}

/// Asks loms for the order of `intent`. Safe to repeat, because loms knows the intent by its id.
///
/// An overload error of loms proves nothing about the order: another instance may have asked for it
/// at the same time.
pub async fn place(loms: Loms, user: UserId, intent: Intent) -> Outcome {
    deadline::scope(Instant::now() + LONGEST, ask(loms, user, intent)).await
}

async fn ask(loms: Loms, user: UserId, intent: Intent) -> Outcome {
    let tolerated = if intent.attempts == 0 { TOLERATED.0 } else { TOLERATED.1 };
    let (mut attempt, mut unusable) = (1, 0);
    loop {
        let error = match create(&loms, user, &intent).await {
            Ok(outcome) => return outcome,
            Err(error) => error,
        };
        match &error {
            LomsError::FailedPrecondition { short, shortages } => {
                let (short, shortages) = (short.clone(), shortages.clone());
                return Outcome::Refused(CartError::OrderRefused { short, shortages });
            }
            LomsError::Rejected(reason) => {
                error!(%user, intent = %intent.id, reason, "the order service rejects an order");
                return Outcome::Refused(CartError::BadGateway(Part::Loms));
            }
            LomsError::NotFound | LomsError::Unusable => unusable += 1,
            LomsError::Overloaded
            | LomsError::Unavailable
            | LomsError::Denied
            | LomsError::DeadlineExceeded => {}
        }
        let wait = BACKOFF.jittered(attempt);
        let time_is_up = deadline::remaining().is_some_and(|left| left <= wait);
        if attempt >= ATTEMPTS || unusable >= tolerated || time_is_up {
            let intent = &intent.id;
            log_failure(
                ErrorCode::Unavailable,
                format_args!(
                    "the outcome of checkout {intent} of user {user} is unknown, it stays open: {error}"
                ),
            );
            return Outcome::Unknown(error.into());
        }
        attempt += 1;
        sleep(wait).await;
    }
}

/// Creates the order or finds it again. An order that is asked for once more may already be cancelled,
/// because the user could not learn of it and pay. Its pieces then stay in the cart.
async fn create(loms: &Loms, user: UserId, intent: &Intent) -> Result<Outcome, LomsError> {
    let order = loms.create_order(user, &intent.ordered, intent.id).await?;
    if intent.attempts > 0 && loms.is_cancelled(order).await? {
        warn!(%user, intent = %intent.id, %order, "the order of a checkout was cancelled before it was settled");
        return Ok(Outcome::Refused(CartError::OrderCancelled));
    }
    Ok(Outcome::Created(order))
}
