//! How often the product service may be called.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

use crate::domain::CartError;

/// A second, and what two clocks may differ by within one.
const WINDOW: Duration = Duration::from_millis(1005);

/// Lets calls leave, in any second no more than allowed, and none later than need be.
///
/// A place is taken again a second after its call has been answered, not after it left: so the product service too sees
/// no more, however long a call travels. A token bucket would see to neither that nor the first second, in which it
/// lets twice as many pass.
pub struct Pace {
    places: Arc<Semaphore>,
    /// One for each call that may wait for a place before the deadline of most would pass.
    queue: Semaphore,
}

/// The permission to make one call; drop it when the call has been answered.
pub struct Turn(Option<OwnedSemaphorePermit>);

impl Pace {
    /// At most `per_second` calls in any second, and at most as many waiting as leave in `patience`.
    pub fn new(per_second: usize, patience: Duration) -> Self {
        let per_second = per_second.max(1);
        let waiting = usize::try_from(patience.as_secs()).unwrap_or(usize::MAX).max(1);
        let waiting = per_second.saturating_mul(waiting).min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(per_second)), queue: Semaphore::new(waiting) }
    }

    /// Waits for a turn until `deadline`.
    ///
    /// # Errors
    /// `Overloaded`: at once when too many wait, or at the deadline.
    pub async fn turn(&self, deadline: Instant) -> Result<Turn, CartError> {
        let _waiting = self.queue.try_acquire().map_err(|_| CartError::Overloaded)?;
        let place = timeout_at(deadline, Arc::clone(&self.places).acquire_owned()).await;
        let place = place.map_err(|_| CartError::Overloaded)?;
        Ok(Turn(Some(place.map_err(|_| CartError::Internal)?)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let place = self.0.take();
        actix::spawn(async move {
            sleep(WINDOW).await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn in_ten_seconds() -> Instant {
        Instant::now() + PATIENCE
    }

    #[actix_web::test]
    async fn no_second_has_more_turns_than_allowed() {
        let pace = Pace::new(10, PATIENCE);
        let mut moments = Vec::new();
        for _ in 0..25 {
            drop(pace.turn(in_ten_seconds()).await.unwrap());
            moments.push(Instant::now());
        }
        assert!(moments.windows(11).all(|eleven| eleven[10] - eleven[0] > Duration::from_secs(1)));
        assert!(moments[9] - moments[0] < Duration::from_millis(500), "a burst passes at once");
    }

    #[actix_web::test]
    async fn who_cannot_have_a_turn_in_time_is_refused() {
        let pace = Pace::new(1, Duration::from_secs(1));
        drop(pace.turn(in_ten_seconds()).await.unwrap());
        let soon = Instant::now() + Duration::from_millis(20);
        assert_eq!(pace.turn(soon).await.err(), Some(CartError::Overloaded));
        let (waits, refused) = futures::join!(pace.turn(in_ten_seconds()), pace.turn(in_ten_seconds()));
        assert!(waits.is_ok());
        assert_eq!(refused.err(), Some(CartError::Overloaded));
    }
}
