//! The intent of a checkout, and when loms may be asked about it again.

use std::time::Duration;

use shared_actors::actor::Backoff;
use uuid::Uuid;

use crate::domain::Cart;
use crate::idempotency::IdempotencyKey;

/// How long an intent rests after an attempt. A loms that is down creates no orders, so asking
/// again is harmless.
const REST: Backoff = Backoff { first: Duration::from_secs(5), max: Duration::from_secs(30) };
/// How long an intent rests after unusable answers. A loms that ignores the intent's key may create
/// a `FAILED` order with each of them.
const LONG_REST: Backoff = Backoff { first: Duration::from_secs(5), max: Duration::from_hours(1) };
/// After this many unusable answers, only the user's own checkout asks again.
pub const UNUSABLE_ANSWERS: u32 = 16;

/// What a user asked to order. It is stored in the database until the outcome is known and settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The idempotency key of the order at loms.
    pub id: Uuid,
    /// The ordered lines; never empty.
    pub ordered: Cart,
    /// The part that leaves the cart at the settlement. It is less than was ordered if lines were
    /// removed meanwhile.
    pub leaving: Cart,
    /// The idempotency key of the request that started the checkout. The answer will be stored
    /// under it.
    pub key: Option<IdempotencyKey>,
    /// How many times loms was asked again.
    pub attempts: u32,
    /// How many times loms gave an answer that says nothing about the order.
    pub unusable_answers: u32,
    /// Whether the intent has rested long enough since the last attempt.
    pub is_due: bool,
}

/// Who asks loms again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A user, with a checkout request.
    User,
    /// The sweeper of any instance.
    Sweeper,
}

impl Intent {
    /// A new intent to order the whole of `cart`.
    pub fn new(cart: &Cart, key: Option<IdempotencyKey>) -> Self {
        Self {
            id: Uuid::now_v7(),
            ordered: cart.clone(),
            leaving: cart.clone(),
            key,
            attempts: 0,
            unusable_answers: 0,
            is_due: true,
        }
    }

    /// Whether `asker` may ask loms about it now.
    pub fn may_be_asked_by(&self, asker: Asker) -> bool {
        match asker {
            // A user who got no answer does not have to wait for the schedule.
            Asker::User => self.is_due || self.unusable_answers == 0,
            Asker::Sweeper => self.is_due && self.unusable_answers < UNUSABLE_ANSWERS,
        }
    }

    /// The intent after one more attempt, and how long it rests from now.
    #[must_use]
    pub fn asked_again(&self) -> (Self, Duration) {
        let asked = Self { attempts: one_more(self.attempts), is_due: false, ..self.clone() };
        let rest = match self.unusable_answers {
            0 => REST.jittered(asked.attempts),
            answers => LONG_REST.jittered(answers),
        };
        (asked, rest)
    }

    /// The intent after one more unusable answer, and how long it rests from now.
    #[must_use]
    pub fn answered_unusably(&self) -> (Self, Duration) {
        let answers = one_more(self.unusable_answers);
        let answered = Self { unusable_answers: answers, is_due: false, ..self.clone() };
        (answered, LONG_REST.jittered(answers))
    }
}

/// The next number. The database stores at most `i32::MAX`.
fn one_more(number: u32) -> u32 {
    (number + 1).min(i32::MAX.unsigned_abs())
}

/// The canonical line of a checkout request, as idempotency keys remember it.
pub const REQUEST: &str = "POST /cart/checkout";

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(unusable_answers: u32, is_due: bool) -> Intent {
        Intent { unusable_answers, is_due, ..Intent::new(&Cart::default(), None) }
    }

    #[test]
    fn a_user_is_not_made_to_wait_for_an_order_service_that_was_down() {
        for (unusable_answers, is_due, user, sweeper) in [
            (0, true, true, true),
            (0, false, true, false),
            (1, true, true, true),
            (1, false, false, false),
            (UNUSABLE_ANSWERS, true, true, false),
            (UNUSABLE_ANSWERS, false, false, false),
        ] {
            let intent = intent(unusable_answers, is_due);
            assert_eq!(intent.may_be_asked_by(Asker::User), user, "{unusable_answers} {is_due}");
            assert_eq!(
                intent.may_be_asked_by(Asker::Sweeper),
                sweeper,
                "{unusable_answers} {is_due}"
            );
        }
    }

    #[test]
    fn an_intent_rests_longer_after_each_unusable_answer() {
        let mut intent = intent(0, true);
        let mut rested = Duration::ZERO;
        for answers in 1..=UNUSABLE_ANSWERS {
            let (answered, rest) = intent.answered_unusably();
            assert_eq!((answered.unusable_answers, answered.is_due), (answers, false));
            assert!(rest <= LONG_REST.max * 3 / 2, "{rest:?}");
            rested += rest;
            intent = answered;
        }
        assert!(rested > Duration::from_hours(3), "the sweepers ask for half a day: {rested:?}");
        assert!(intent.asked_again().1 > Duration::from_mins(29));
    }

    #[test]
    fn an_order_service_that_was_down_is_asked_at_least_every_45_seconds() {
        let intent = Intent { attempts: 1_000, ..intent(0, true) };
        let (asked, rest) = intent.asked_again();
        assert_eq!((asked.attempts, asked.is_due), (1_001, false));
        assert!(rest <= Duration::from_secs(45), "{rest:?}");
    }
}
