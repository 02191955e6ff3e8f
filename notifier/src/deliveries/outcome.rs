//! Decides what happens to a delivery after an attempt: it is sent, retried later, or dead. No I/O.

use std::time::Duration;

use shared_actors::actor::Backoff;

use super::delivery::Delivery;
use crate::channels::ChannelError;

/// The pause before a delivery is tried again.
const RETRIES: Backoff = Backoff { first: Duration::from_millis(500), max: Duration::from_mins(1) };
/// The longest pause that a receiver can ask for.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// When a delivery is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryLimits {
    /// How many times a notification that the channel refuses is retried.
    pub refusals: u32,
    /// How long a notification is retried while the channel is unavailable.
    pub age: Duration,
}

impl RetryLimits {
    /// Why a notification that is too old is given up.
    pub(super) fn too_late(&self, reason: &str) -> String {
        format!("not sent within {:?}: {reason}", self.age)
    }
}

/// The result of an attempt for its delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Sent,
    /// Try again after this time.
    Retry {
        after: Duration,
        refused: bool,
        reason: String,
    },
    Dead {
        reason: String,
    },
}

impl Outcome {
    /// Decides about `delivery` after one attempt.
    pub fn of(delivery: &Delivery, attempt: Result<(), ChannelError>, limits: RetryLimits) -> Self {
        match attempt {
            Ok(()) => Self::Sent,
            Err(ChannelError::Refused { reason }) if delivery.refusals < limits.refusals => {
                Self::Retry { after: RETRIES.jittered(delivery.attempts), refused: true, reason }
            }
            Err(ChannelError::Refused { reason }) => Self::Dead { reason },
            Err(ChannelError::Unavailable { reason, .. }) if delivery.age >= limits.age => {
                Self::Dead { reason: limits.too_late(&reason) }
            }
            Err(ChannelError::Interrupted(error)) if delivery.age >= limits.age => {
                Self::Dead { reason: limits.too_late(&error.to_string()) }
            }
            Err(ChannelError::Interrupted(error)) => Self::Retry {
                after: RETRIES.jittered(delivery.attempts),
                refused: false,
                reason: error.to_string(),
            },
            Err(ChannelError::Unavailable { reason, retry_after }) => {
                let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
                let after = RETRIES.jittered(delivery.attempts).max(asked);
                Self::Retry { after, refused: false, reason }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use kafka_actors::{Headers, ReceivedRecord};
    use uuid::Uuid;

    use super::*;
    use crate::deliveries::delivery::DeliveryId;

    const LIMITS: RetryLimits = RetryLimits { refusals: 2, age: Duration::from_mins(10) };

    fn delivery(attempts: u32, refusals: u32, age: Duration) -> Delivery {
        Delivery {
            id: DeliveryId { order_id: 1000, sequence: 1, event_id: Uuid::nil() },
            order_state: "NEW".to_owned(),
            occurred_at: Utc::now(),
            attempts,
            refusals,
            age,
            record: ReceivedRecord {
                topic: "events".to_owned(),
                partition: 0,
                offset: 0,
                key: None,
                payload: None,
                headers: Headers::new(),
            },
        }
    }

    fn refused() -> Result<(), ChannelError> {
        Err(ChannelError::Refused { reason: "no such address".to_owned() })
    }

    #[test]
    fn a_refused_notification_is_tried_again_a_limited_number_of_times() {
        for refusals in [0, 1] {
            let outcome = Outcome::of(&delivery(1, refusals, Duration::ZERO), refused(), LIMITS);
            assert!(matches!(outcome, Outcome::Retry { refused: true, .. }), "{outcome:?}");
        }
        let outcome = Outcome::of(&delivery(3, 2, Duration::ZERO), refused(), LIMITS);
        assert_eq!(outcome, Outcome::Dead { reason: "no such address".to_owned() });
    }

    #[test]
    fn an_unavailable_channel_is_tried_until_the_notification_is_too_old() {
        let attempt = || Err(ChannelError::unavailable("connection refused"));
        let young = Outcome::of(&delivery(1_000, 2, Duration::from_secs(599)), attempt(), LIMITS);
        let Outcome::Retry { after, refused: false, .. } = young else { panic!("{young:?}") };
        assert!(Duration::from_secs(30) <= after && after <= Duration::from_secs(90), "{after:?}");
        let old = Outcome::of(&delivery(1, 0, LIMITS.age), attempt(), LIMITS);
        let reason = "not sent within 600s: connection refused".to_owned();
        assert_eq!(old, Outcome::Dead { reason });
    }

    #[test]
    fn a_receiver_can_ask_for_a_longer_pause_within_limits() {
        let asks = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            let attempt = Err(ChannelError::Unavailable { reason: "busy".to_owned(), retry_after });
            match Outcome::of(&delivery(1, 0, Duration::ZERO), attempt, LIMITS) {
                Outcome::Retry { after, .. } => after.as_secs(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((asks(0), asks(120), asks(1_000_000)), (0, 120, 3600));
    }
}
